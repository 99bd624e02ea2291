/* SPDX-License-Identifier: Apache-2.0 */
/* Time as text and the calendar of Asia/Shanghai. Days are counted from 1970-01-01; the civil
 * calendar is computed with years that begin in March, so a leap day is the last day of its year.
 */
#include "clock.h"

#include <stdatomic.h>
#include <time.h>

#include "clock_internal.h"

static const int64_t shanghai_offset_ms = 8LL * MS_HOUR;
static const int64_t last_ms = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */

utc_t clock_now(void)
{
    static _Atomic int64_t latest;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    int64_t ms = (int64_t)at.tv_sec * MS_SECOND + at.tv_nsec / 1000000;
    int64_t seen = atomic_load(&latest);
    while (seen < ms && !atomic_compare_exchange_weak(&latest, &seen, ms))
        continue;
    return (utc_t){seen > ms ? seen : ms};
}

int64_t clock_monotonic_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

utc_t utc_add(utc_t at, int64_t ms)
{
    return (utc_t){at.ms + ms};
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static int64_t days_of_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static struct shanghai civil_of_ms(int64_t ms)
{
    int64_t days = floor_div(ms, MS_DAY);
    int64_t of_day = ms - days * MS_DAY;
    int64_t shifted = days + 719468;
    int64_t era = floor_div(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    return (struct shanghai){
        .year = (int)(year_of_era + era * 400 + (month <= 2)),
        .month = month,
        .day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
        .hour = (int)(of_day / MS_HOUR),
        .minute = (int)(of_day / MS_MINUTE % 60),
        .second = (int)(of_day / MS_SECOND % 60),
        .ms_of_day = of_day,
    };
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static char *put_digits(char *out, int value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + width;
}

size_t utc_format(char out[UTC_TEXT_MAX], utc_t at)
{
    /* Beyond four-digit years there is no RFC 3339 form: the nearest moment that has one. */
    int64_t first_ms = -62135596800000; /* 0001-01-01 */
    int64_t ms = at.ms < first_ms ? first_ms : at.ms > last_ms ? last_ms : at.ms;
    struct shanghai c = civil_of_ms(ms);
    char *p = put_digits(out, c.year, 4);
    *p++ = '-';
    p = put_digits(p, c.month, 2);
    *p++ = '-';
    p = put_digits(p, c.day, 2);
    *p++ = 'T';
    p = put_digits(p, c.hour, 2);
    *p++ = ':';
    p = put_digits(p, c.minute, 2);
    *p++ = ':';
    p = put_digits(p, c.second, 2);
    *p++ = '.';
    p = put_digits(p, (int)(c.ms_of_day % MS_SECOND), 3);
    *p++ = 'Z';
    return (size_t)(p - out);
}

void utc_write(struct buf *buf, utc_t at)
{
    char text[UTC_TEXT_MAX];
    buf_put(buf, (str_t){text, utc_format(text, at)});
}

/* Takes exactly `width` digits off the front; -1 when they are not there. */
static int take_digits(str_t *rest, size_t width)
{
    if (rest->len < width)
        return -1;
    int value = 0;
    for (size_t i = 0; i < width; i++) {
        char c = rest->data[i];
        if (c < '0' || c > '9')
            return -1;
        value = value * 10 + (c - '0');
    }
    *rest = str_cut(*rest, width);
    return value;
}

static bool take_char(str_t *rest, char c)
{
    if (rest->len == 0 || rest->data[0] != c)
        return false;
    *rest = str_cut(*rest, 1);
    return true;
}

static bool take_number(str_t *rest, size_t width, int min, int max, int *out)
{
    *out = take_digits(rest, width);
    return *out >= min && *out <= max;
}

static bool take_fraction_ms(str_t *rest, int *out_ms)
{
    *out_ms = 0;
    if (!take_char(rest, '.'))
        return true;
    int digits = 0, value = 0;
    for (; rest->len > 0 && rest->data[0] >= '0' && rest->data[0] <= '9'; digits++) {
        if (digits < 3)
            value = value * 10 + (rest->data[0] - '0');
        *rest = str_cut(*rest, 1);
    }
    for (int i = digits; i < 3; i++)
        value *= 10;
    *out_ms = value;
    return digits >= 1 && digits <= 9;
}

static bool take_offset_ms(str_t *rest, int64_t *out_ms)
{
    *out_ms = 0;
    if (take_char(rest, 'Z') || take_char(rest, 'z'))
        return true;
    bool west = take_char(rest, '-');
    if (!west && !take_char(rest, '+'))
        return false;
    int hours, minutes;
    if (!take_number(rest, 2, 0, 23, &hours) || !take_char(rest, ':') ||
        !take_number(rest, 2, 0, 59, &minutes))
        return false;
    int64_t offset = (int64_t)hours * MS_HOUR + (int64_t)minutes * MS_MINUTE;
    *out_ms = west ? -offset : offset;
    return true;
}

bool utc_read(str_t text, utc_t *out)
{
    int year, month, day, hour, minute, second, ms;
    int64_t offset;
    if (!take_number(&text, 4, 1, 9999, &year) || !take_char(&text, '-') ||
        !take_number(&text, 2, 1, 12, &month) || !take_char(&text, '-') ||
        !take_number(&text, 2, 1, month_days(year, month), &day))
        return false;
    if (!take_char(&text, 'T') && !take_char(&text, 't'))
        return false;
    if (!take_number(&text, 2, 0, 23, &hour) || !take_char(&text, ':') ||
        !take_number(&text, 2, 0, 59, &minute) || !take_char(&text, ':') ||
        !take_number(&text, 2, 0, 60, &second))
        return false;
    if (!take_fraction_ms(&text, &ms) || !take_offset_ms(&text, &offset) || text.len != 0)
        return false;
    int64_t whole = days_of_civil(year, month, day) * MS_DAY + (int64_t)hour * MS_HOUR +
                    (int64_t)minute * MS_MINUTE + (int64_t)second * MS_SECOND - offset;
    /* A leap second ends a UTC day; here it is the first second of the next. */
    if (second == 60 && whole % MS_DAY != 0)
        return false;
    if (whole + ms < 0 || whole + ms > last_ms)
        return false;
    out->ms = whole + ms;
    return true;
}

struct shanghai utc_shanghai(utc_t at)
{
    return civil_of_ms(at.ms + shanghai_offset_ms);
}

utc_t utc_of_shanghai(int year, int month, int day)
{
    return (utc_t){days_of_civil(year, month, day) * MS_DAY - shanghai_offset_ms};
}

utc_t utc_add_months(utc_t at, int count, int anchor_day)
{
    struct shanghai c = utc_shanghai(at);
    int64_t months = (int64_t)c.year * 12 + c.month - 1 + count;
    int year = (int)floor_div(months, 12);
    int month = (int)(months - (int64_t)year * 12) + 1;
    int last = month_days(year, month);
    int day = anchor_day < last ? anchor_day : last;
    return utc_add(utc_of_shanghai(year, month, day < 1 ? 1 : day), c.ms_of_day);
}
