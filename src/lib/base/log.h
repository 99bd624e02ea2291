/* SPDX-License-Identifier: Apache-2.0 */
/* One structured line per request and job, at the edge only. Ids, never secrets or personal data.
 *     log_line("order_sent", "order=%s attempt=%d", ...)  ->  2026-11-24T15:30:00.123Z order_sent
 * order=... */
#ifndef SUANHE_BASE_LOG_H
#define SUANHE_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
/* Writes one line to standard error at LOG_INFO. */
void log_line(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_at(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A promise of the code was broken: says so and stops the process. Stays on in release. */
_Noreturn void log_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define ENSURE(condition)                                         \
    do {                                                          \
        if (!(condition))                                         \
            log_die("%s:%d: %s", __FILE__, __LINE__, #condition); \
    } while (0)

#endif
