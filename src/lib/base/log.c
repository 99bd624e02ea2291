/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines to standard error: one write(2) each, so lines of several threads never mix. A line
 * never holds a control character, whatever was handed in. */
#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "clock_internal.h"

enum { LINE_MAX_BYTES = 4096 };

static atomic_int level_now = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

static size_t clipped(int written, size_t room)
{
    if (written < 0)
        return 0;
    return (size_t)written < room ? (size_t)written : room - 1;
}

static void __attribute__((format(printf, 2, 0)))
write_line(const char *event, const char *format, va_list args)
{
    char line[LINE_MAX_BYTES];
    size_t len = utc_format(line, clock_now());
    len += clipped(snprintf(line + len, sizeof line - len, " %s ", event), sizeof line - len);
    len += clipped(vsnprintf(line + len, sizeof line - len, format, args), sizeof line - len);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7F)
            line[i] = ' ';
    }
    line[len++] = '\n'; /* in place of the NUL */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* without standard error there is nobody to tell */
}

void log_line(const char *event, const char *format, ...)
{
    if (atomic_load_explicit(&level_now, memory_order_relaxed) < (int)LOG_INFO)
        return;
    va_list args;
    va_start(args, format);
    write_line(event, format, args);
    va_end(args);
}

void log_at(enum log_level level, const char *event, const char *format, ...)
{
    if (atomic_load_explicit(&level_now, memory_order_relaxed) < (int)level)
        return;
    va_list args;
    va_start(args, format);
    write_line(event, format, args);
    va_end(args);
}

_Noreturn void log_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line("die", format, args);
    va_end(args);
    abort();
}
