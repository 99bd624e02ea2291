/* SPDX-License-Identifier: Apache-2.0 */
/* What a store's scheduling platform proves itself with, and what we prove ourselves to it with.
 * Its secret is stored as a digest; our bearer has to be sent, so it is stored sealed. */
#include "crypto/crypto.h"
#include "store_internal.h"

enum { BEARER_BYTES = 32 };

static err_t check_state(struct ctx *ctx, const struct store *store)
{
    static const bool can_hold[STORE_CLOSED + 1] = {[STORE_APPROVED] = true,
                                                    [STORE_CONNECTED] = true,
                                                    [STORE_OPEN] = true,
                                                    [STORE_PAUSED] = true,
                                                    [STORE_SUSPENDED] = true};
    if (can_hold[store->m.state])
        return OK;
    return refuse(ctx, ERR_STATE, "illegal_transition", "credentials come after the approval");
}

static err_t keep_bearer(struct ctx *ctx, const struct store *store, ref_t client, str_t bearer)
{
    uint8_t key[32];
    struct buf box;
    buf_init(&box, ctx->arena, 512);
    keyring_data_key(ctx->platform->keys, store->org_id, key);
    box_seal(key, (uint32_t)store->org_id.value, bearer, &box);
    crypto_wipe(key, sizeof key);
    ENSURE(!box.overflow);
    return db_exec_one(ctx,
                       "INSERT INTO store_credential (store_id, client_id, if2_bearer, created_at) "
                       "VALUES ($1, $2, $3, $4) ON CONFLICT (store_id) DO UPDATE SET client_id = "
                       "excluded.client_id, "
                       "if2_bearer = excluded.if2_bearer, created_at = excluded.created_at",
                       ARGS(A(store->m.id), A(client), A_BYTES(buf_str(&box)), A(ctx->now)));
}

err_t store_make_credentials(struct ctx *ctx, ref_t id, struct store_credentials *out)
{
    struct store store;
    struct client_new client;
    uint8_t random[BEARER_BYTES];
    TRY(store_load(ctx, id, &store));
    TRY(store_own(ctx, &store));
    TRY(check_state(ctx, &store));
    TRY(account_client_create(ctx, store.org_id, id, &client));
    crypto_random(random, sizeof random);
    str_t bearer = base64url_encode(ctx->arena, str_from(random, sizeof random));
    crypto_wipe(random, sizeof random);
    TRY(keep_bearer(ctx, &store, client.client_id, bearer));
    str_t store_text = ref_text(ctx->arena, "sto", id),
          client_text = ref_text(ctx->arena, "cli", client.client_id);
    TRY(store_tell(ctx, &store, FACT_STORE_CREDENTIALS,
                   str_printf(ctx->arena,
                              "{\"store_id\":\"" STR_FMT "\",\"client_id\":\"" STR_FMT "\"}",
                              STR_ARG(store_text), STR_ARG(client_text)),
                   NULL));
    *out = (struct store_credentials){
        .client_id = client.client_id, .client_secret = client.secret, .if2_bearer = bearer};
    return OK;
}

struct bearer_row {
    str_t if2_bearer;
};
static const struct field bearer_fields[] = {FIELD_BYTES(struct bearer_row, if2_bearer, 0, 512, 0)};
static const struct shape bearer_shape = SHAPE(struct bearer_row, bearer_fields);

err_t store_outbound(struct ctx *ctx, ref_t id, str_t *out_base_url, str_t *out_bearer)
{
    struct store store;
    struct bearer_row row = {0};
    bool found = false;
    uint8_t key[32];
    struct buf plain;
    TRY(store_load(ctx, id, &store));
    TRY(db_find(ctx, "SELECT if2_bearer FROM store_credential WHERE store_id = $1", ARGS(A(id)),
                &bearer_shape, &row, &found));
    if (!found)
        return refuse(ctx, ERR_STATE, "store_no_credentials", "the store has no credentials yet");
    buf_init(&plain, ctx->arena, 512);
    keyring_data_key(ctx->platform->keys, store.org_id, key);
    bool opened = box_open(key, row.if2_bearer, &plain);
    crypto_wipe(key, sizeof key);
    if (!opened)
        return refuse(ctx, ERR_INTERNAL, "store_bearer_damaged",
                      "the stored bearer cannot be opened");
    *out_base_url = store.if2_base_url;
    *out_bearer = buf_str(&plain);
    return OK;
}
