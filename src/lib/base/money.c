/* SPDX-License-Identifier: Apache-2.0 */
/* Money arithmetic: products in 128 bits, results checked. Settled money stays within 2^53 - 1 fen
 * either way, rated amounts and prices within 64 bits. */
#include "money.h"

#include "log.h"

typedef __int128 wide;
typedef unsigned __int128 unsigned_wide;

enum { E8_PER_FEN = 1000000, E10_PER_FEN = 100000000 };

static unsigned_wide magnitude(wide value)
{
    return value < 0 ? -(unsigned_wide)value : (unsigned_wide)value;
}

static wide half_up(wide numerator, wide denominator)
{
    unsigned_wide size = magnitude(numerator), by = (unsigned_wide)denominator;
    unsigned_wide quotient = size / by, rest = size % by;
    if (rest >= by - rest)
        quotient++;
    return numerator < 0 ? -(wide)quotient : (wide)quotient;
}

static bool as_money(wide value, money_t *out)
{
    if (value > MONEY_MAX_FEN || value < -MONEY_MAX_FEN)
        return false;
    out->fen = (int64_t)value;
    return true;
}

static bool fits_int64(wide value)
{
    return value >= INT64_MIN && value <= INT64_MAX;
}

bool money_add(money_t a, money_t b, money_t *out)
{
    return as_money((wide)a.fen + b.fen, out);
}

bool money_sub(money_t a, money_t b, money_t *out)
{
    return as_money((wide)a.fen - b.fen, out);
}

bool money_times(money_t a, int64_t factor, money_t *out)
{
    return as_money((wide)a.fen * factor, out);
}

bool money_scale(money_t a, int64_t num, int64_t den, money_t *out)
{
    ENSURE(den > 0);
    return as_money(half_up((wide)a.fen * num, den), out);
}

/* How many remainders of size * weight / sum are at least `bound`. */
static size_t count_remainders(unsigned_wide size, const int64_t *weights, size_t count,
                               unsigned_wide sum, unsigned_wide bound)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += size * (unsigned_wide)weights[i] % sum >= bound;
    return found;
}

/* Sum of the weights; 0 when there is none to share by. */
static unsigned_wide weight_sum(const int64_t *weights, size_t count)
{
    unsigned_wide sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] < 0)
            return 0;
        sum += (unsigned_wide)weights[i];
    }
    return sum;
}

bool money_allocate(money_t total, const int64_t *weights, size_t count, money_t *out_parts)
{
    unsigned_wide sum = weight_sum(weights, count), size = magnitude(total.fen), shared = 0;
    if (sum == 0 || size > (unsigned_wide)MONEY_MAX_FEN)
        return false;
    for (size_t i = 0; i < count; i++)
        shared += size * (unsigned_wide)weights[i] / sum;
    size_t left = (size_t)(size - shared); /* fewer than the remainders above zero */
    /* The smallest remainder that still gets one, found by halving: no sort, no memory. */
    unsigned_wide low = 1, high = sum;
    while (low < high) {
        unsigned_wide middle = low + (high - low) / 2;
        if (count_remainders(size, weights, count, sum, middle) <= left)
            high = middle;
        else
            low = middle + 1;
    }
    size_t ties = left - count_remainders(size, weights, count, sum, low);
    for (size_t i = 0; i < count; i++) {
        unsigned_wide product = size * (unsigned_wide)weights[i];
        int64_t part = (int64_t)(product / sum);
        unsigned_wide rest = product % sum;
        if (rest >= low) {
            part++;
        } else if (ties > 0 && rest > 0 && rest == low - 1) {
            part++;
            ties--;
        }
        out_parts[i].fen = total.fen < 0 ? -part : part;
    }
    return true;
}

bool money_tax(money_t gross, int32_t rate_bp, money_t *out_net, money_t *out_tax)
{
    money_t net, tax;
    if (rate_bp < 0 || !money_scale(gross, 10000, 10000 + (int64_t)rate_bp, &net) ||
        !money_sub(gross, net, &tax))
        return false;
    *out_net = net;
    *out_tax = tax;
    return true;
}

bool price_to_money(price_t price, money_t *out)
{
    return as_money(half_up(price.e10, E10_PER_FEN), out);
}

bool price_scale(price_t price, int64_t num, int64_t den, price_t *out)
{
    ENSURE(den > 0);
    wide scaled = half_up((wide)price.e10 * num, den);
    if (!fits_int64(scaled))
        return false;
    out->e10 = (int64_t)scaled;
    return true;
}

bool price_rate(price_t price, int64_t quantity, int64_t den, rate_t *out)
{
    ENSURE(den > 0);
    wide rated = half_up((wide)price.e10 * quantity, (wide)den * 100);
    if (!fits_int64(rated))
        return false;
    out->e8 = (int64_t)rated;
    return true;
}

bool rate_truncate(rate_t rated, money_t *out_charge, rate_t *out_round_down)
{
    int64_t fen = rated.e8 / E8_PER_FEN;
    out_charge->fen = fen;
    out_round_down->e8 = rated.e8 - fen * E8_PER_FEN;
    return true;
}

/* Digits with at most `places` decimals, as an integer of 10^-places. */
static bool decimal_read(str_t text, size_t whole_max, size_t places, int64_t *out)
{
    wide value = 0;
    size_t i = 0, whole = 0, decimals = 0;
    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++, whole++) {
        if (whole == whole_max)
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    bool point = i < text.len && text.data[i] == '.';
    for (i += point; point && i < text.len && text.data[i] >= '0' && text.data[i] <= '9';
         i++, decimals++) {
        if (decimals == places)
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    if (i != text.len || whole == 0 || (point && decimals == 0))
        return false;
    for (; decimals < places; decimals++)
        value *= 10;
    if (!fits_int64(value))
        return false;
    *out = (int64_t)value;
    return true;
}

/* At least `places_min` of `places` decimals, the zeros behind them left out. */
static void decimal_write(struct buf *buf, int64_t value, int places, int places_min)
{
    char text[32];
    size_t at = sizeof text;
    uint64_t size = (uint64_t)magnitude(value);
    bool shown = false;
    for (int i = places; i > 0; i--) {
        char digit = (char)('0' + size % 10);
        size /= 10;
        shown = shown || digit != '0' || i <= places_min;
        if (shown)
            text[--at] = digit;
    }
    if (shown)
        text[--at] = '.';
    do {
        text[--at] = (char)('0' + size % 10);
        size /= 10;
    } while (size > 0);
    if (value < 0)
        text[--at] = '-';
    buf_put(buf, (str_t){text + at, sizeof text - at});
}

bool price_read(str_t text, price_t *out)
{
    return decimal_read(text, 8, 10, &out->e10);
}

void price_write(struct buf *buf, price_t price)
{
    decimal_write(buf, price.e10, 10, 0);
}

bool rate_read(str_t text, rate_t *out)
{
    return decimal_read(text, 11, 8, &out->e8);
}

void rate_write(struct buf *buf, rate_t rate)
{
    decimal_write(buf, rate.e8, 8, 0);
}

void money_write(struct buf *buf, money_t money)
{
    decimal_write(buf, money.fen, 2, 2);
}
