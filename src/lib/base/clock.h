/* SPDX-License-Identifier: Apache-2.0 */
/* Time. utc_t is milliseconds since 1970 in UTC. core never reads a clock: ctx->now is read once
 * per request at the edge, and tests set it. The billing calendar is Asia/Shanghai (UTC+8, no
 * summer time). */
#ifndef SUANHE_BASE_CLOCK_H
#define SUANHE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "str.h"

typedef struct utc {
    int64_t ms;
} utc_t;

enum { MS_SECOND = 1000, MS_MINUTE = 60 * 1000, MS_HOUR = 3600 * 1000, MS_DAY = 24 * 3600 * 1000 };

/* Wall clock that never runs backwards within the process: after the system clock jumped back it
 * stands still until real time has caught up (ids and head times rely on it). */
utc_t clock_now(void);
int64_t clock_monotonic_us(void);
utc_t utc_add(utc_t at, int64_t ms);
/* RFC 3339 in UTC with three decimals: 2026-11-24T15:30:00.123Z (24 bytes). */
void utc_write(struct buf *buf, utc_t at);
/* RFC 3339 with any offset, 0 to 9 decimals (cut to ms), years 1970 to 9999. */
bool utc_read(str_t text, utc_t *out);
/* Calendar of Asia/Shanghai. */
struct shanghai {
    int year, month, day, hour, minute, second;
    int64_t ms_of_day;
};
struct shanghai utc_shanghai(utc_t at);
utc_t utc_of_shanghai(int year, int month, int day); /* 00:00 there */
/* `count` months later at the same day and time there, the day clamped to the month's length;
 * anchor_day (1-31) is the day wished for: 31 Jan + 1 = 28 Feb, + 2 = 31 Mar. */
utc_t utc_add_months(utc_t at, int count, int anchor_day);

#endif
