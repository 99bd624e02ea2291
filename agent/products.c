/* SPDX-License-Identifier: Apache-2.0 */
/* Reports products (R5) from a file of JSON lines: each a product as the interface takes it, with
 * its external_product_id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"

static int find_provider(const struct agent *agent, const char *name)
{
    for (int i = 0; i < agent->config.provider_count; i++)
        if (str_is(agent->config.providers[i].code, name) ||
            str_is(agent->config.providers[i].name, name))
            return i;
    return -1;
}

/* The body is the line without external_product_id, which stands in the path. */
static bool split(struct ctx *ctx, str_t line, str_t *out_id, str_t *out_body)
{
    const char *why = "";
    const struct json *json = json_parse_text(ctx->arena, line, &why);
    *out_id = json_get_text(json, "external_product_id");
    if (!json || out_id->len == 0 || out_id->len > 64)
        return false;
    struct buf buf;
    struct jw w;
    str_t key;
    const struct json *value;
    buf_init(&buf, ctx->arena, 1 << 20);
    jw_init(&w, &buf);
    jw_object(&w);
    for (size_t i = 0; json_member(json, i, &key, &value); i++) {
        if (str_is(key, "external_product_id"))
            continue;
        jw_key(&w, str_z(ctx->arena, key));
        jw_raw(&w, json_print(ctx->arena, value, false));
    }
    jw_end_object(&w);
    *out_body = buf_str(&buf);
    return true;
}

static bool report_one(struct ctx *ctx, struct agent *agent, struct http_client *client,
                       int provider, str_t line)
{
    str_t token, id, body;
    struct http_answer answer = {0};
    if (!split(ctx, line, &id, &body)) {
        fprintf(stderr, "not a product: " STR_FMT "\n", STR_ARG(line));
        return false;
    }
    if (agent_token(ctx, agent, client, provider, &token) != OK) {
        fprintf(stderr, "no token at the platform: %s\n", ctx->problem.detail);
        return false;
    }
    const struct http_call call = {
        .method = "PUT",
        .url = str_printf(ctx->arena, STR_FMT "/if2/v1/products/" STR_FMT,
                          STR_ARG(agent->config.platform_url), STR_ARG(id)),
        .body = body,
        .bearer = token,
        .allow_plain_http = true,
        .allow_private = true,
    };
    bool answered = http_send(ctx, client, &call, &answer) == OK;
    bool good = answered && (answer.status == 200 || answer.status == 201);
    fprintf(good ? stdout : stderr, STR_FMT " %d " STR_FMT "\n", STR_ARG(id), answer.status,
            STR_ARG(answer.body));
    return good;
}

int agent_report_products(struct agent *agent, const char *provider, const char *path)
{
    int index = find_provider(agent, provider), wrong = 0;
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    if (index < 0 || !file) {
        fprintf(stderr, "suanhe-agent: %s\n",
                index < 0 ? "no such provider in the settings" : "cannot read the file");
        if (file)
            fclose(file);
        return 2;
    }
    struct http_client *client = http_client_new();
    while ((length = getline(&line, &size, file)) > 0) {
        struct ctx ctx;
        str_t text = str_trim(str_from(line, (size_t)length));
        if (text.len == 0)
            continue;
        ctx_init(&ctx, &agent->platform, clock_now());
        wrong += !report_one(&ctx, agent, client, index, text);
        ctx_done(&ctx);
    }
    free(line);
    fclose(file);
    http_client_free(client);
    return wrong == 0 ? 0 : 1;
}
