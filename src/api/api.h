/* SPDX-License-Identifier: Apache-2.0 */
/* The service layer for people: route tables, who acts, and what several of its files share. Holds
 * no SQL and no business rule. */
#ifndef SUANHE_API_H
#define SUANHE_API_H

#include "account/account.h"
#include "api/settings.h"
#include "event/event.h"
#include "http/http.h"
#include "store/store.h"

extern const struct route_table account_routes, store_routes, admin_users_routes;
extern const struct route_table catalog_routes, cart_routes, order_routes, service_routes;
extern const struct route_table evidence_routes, admin_orders_routes, delivery_routes;

/* Hooks of the server. A cookie counts only under /api/, a bearer only under /if2/; over the
 * administration socket the operator's organisation itself acts, as owner and without a user. */
err_t api_authenticate(struct ctx *ctx, const struct request *request);
/* Deny by default: `auth_required` (401) when nobody acts, `permission_denied` (403). */
err_t api_authorise(struct ctx *ctx, const struct request *request);

/* Never NULL: without settings (tests) all are empty. */
const struct settings *api_settings(const struct ctx *ctx);

/* One page of a list by descending key: `limit`, `cursor`. filter ties a cursor to its list. */
struct page {
    int limit;    /* rows to show; ask for one more */
    ref_t before; /* none: from the start */
    uint64_t filter;
};
err_t api_page(struct ctx *ctx, const struct request *request, str_t list, struct page *out);
/* Ends `data` and the object, with next_cursor when there are more. */
void api_page_end(struct ctx *ctx, struct reply *reply, const struct page *page, size_t found,
                  ref_t last);

/* A store as its owner and the operator see it. */
void api_write_store(struct jw *w, const struct store *store);

/* Books a confirmed bank transfer for an organisation. Inside a write transaction. */
err_t api_credit(struct ctx *ctx, ref_t org, money_t amount, str_t bank_reference, str_t note);

/* {data:[events],next_cursor} as timelines show them (evidence_api.c). */
err_t api_reply_events(struct ctx *ctx, struct reply *reply, const struct event_page *page,
                       uint64_t filter);

/* The name of a store among those loaded for a page; empty when it is not there. */
str_t api_store_name(const struct store *stores, size_t count, ref_t id);

#endif
