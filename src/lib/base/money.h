/* SPDX-License-Identifier: Apache-2.0 */
/* Money without floating point. Settled money is integer fen; rated amounts are 10^-8 yuan; unit
 * prices are 10^-10 yuan. As structs they cannot be mixed or multiplied by mistake; only the
 * functions here compute, and overflow is reported (false), never wrapped. Rounding is half up on
 * the magnitude, then the sign. */
#ifndef SUANHE_BASE_MONEY_H
#define SUANHE_BASE_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"

typedef struct money {
    int64_t fen;
} money_t;
typedef struct rate {
    int64_t e8;
} rate_t;
typedef struct price {
    int64_t e10;
} price_t;

#define MONEY_MAX_FEN ((int64_t)9007199254740991) /* 2^53 - 1: what JSON carries exactly */

bool money_add(money_t a, money_t b, money_t *out);
bool money_sub(money_t a, money_t b, money_t *out);
bool money_times(money_t a, int64_t factor, money_t *out);
/* half_up(a * num / den), den > 0. */
bool money_scale(money_t a, int64_t num, int64_t den, money_t *out);
/* Shares total by weights (all >= 0, sum > 0), largest remainder first, ties to the lower index;
 * the parts always sum to total. */
bool money_allocate(money_t total, const int64_t *weights, size_t count, money_t *out_parts);
/* Tax inside a gross amount: net = half_up(gross * 10000 / (10000 + rate_bp)), tax = gross - net.
 */
bool money_tax(money_t gross, int32_t rate_bp, money_t *out_net, money_t *out_tax);
/* One unit's price for the term, rounded half up to fen. */
bool price_to_money(price_t price, money_t *out);
/* half_up(price * permille / 1000) at 10 places. */
bool price_scale(price_t price, int64_t num, int64_t den, price_t *out);
/* half_up(quantity * price / den) to 10^-8 yuan (den 3600 for unit-seconds at an hourly price). */
bool price_rate(price_t price, int64_t quantity, int64_t den, rate_t *out);
/* Truncates a rated amount to fen; the difference is what is rounded down and never collected. */
bool rate_truncate(rate_t rated, money_t *out_charge, rate_t *out_round_down);

/* `^\d{1,8}(\.\d{1,10})?$` */
bool price_read(str_t text, price_t *out);
void price_write(struct buf *buf, price_t price); /* shortest exact form: 24.75, 0.0104 */
bool rate_read(str_t text, rate_t *out);          /* at most 8 places */
void rate_write(struct buf *buf, rate_t rate);
void money_write(struct buf *buf, money_t money); /* 1234.50, for people */

#endif
