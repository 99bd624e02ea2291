/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the benchmark share: an opened platform and a stream of write pieces with a
 * bounded number in flight. */
#ifndef SUANHE_BENCH_H
#define SUANHE_BENCH_H

#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "catalog/catalog.h"

enum { IN_FLIGHT = 256, SKUS_MAX = 400, BUYERS = 256 };

struct ceiling;
struct buyer {
    ref_t org, user;
};
struct bench {
    struct platform platform;
    struct ctx ctx;
    struct buyer buyers[BUYERS];
    ref_t skus[SKUS_MAX];
    money_t prices[SKUS_MAX];
    int sku_count;
    struct ceiling *ceiling;
    sem_t room;
    pthread_mutex_t lock;
    int64_t failed;
    const char *reason;
};

/* One piece of work: its ctx acts for one of the buyers; `number` counts from 0. */
struct piece {
    struct bench *bench;
    struct ctx ctx;
    int64_t number;
};

/* ceiling.c: empty tables like those of an order, and the piece that writes one order's rows
 * barely. */
err_t ceiling_make(struct ctx *ctx, void *bench);
err_t ceiling_drop(struct ctx *ctx, void *unused);
err_t ceiling_order(struct ctx *ctx, void *piece);

#endif
