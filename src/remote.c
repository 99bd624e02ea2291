/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the running server: each is one call over the socket in the data folder, through the
 * same routes and rules as any other. A table says which. */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "main.h"

struct remote {
    const char *word, *sub;    /* sub NULL: the word alone */
    const char *method, *path; /* %1, %2 … are the arguments */
    const char *body;          /* JSON with %1 …, or NULL */
    const char *usage;
    int arguments;
};

static const struct remote remotes[] = {
    {"store", "list", "GET", "/api/v1/admin/stores?limit=200", NULL, "store list", 0},
    {"store", "approve", "POST", "/api/v1/admin/stores/%1/review",
     "{\"decision\":\"approve\",\"reasons\":[]}", "store approve STORE_ID", 1},
    {"store", "request-changes", "POST", "/api/v1/admin/stores/%1/review",
     "{\"decision\":\"request_changes\",\"reasons\":[\"%2\"]}",
     "store request-changes STORE_ID REASON", 2},
    {"store", "reject", "POST", "/api/v1/admin/stores/%1/review",
     "{\"decision\":\"reject\",\"reasons\":[\"%2\"]}", "store reject STORE_ID REASON", 2},
    {"user", "list", "GET", "/api/v1/admin/users?q=%1", NULL, "user list PART_OF_EMAIL", 1},
    {"user", "reset-password", "POST", "/api/v1/admin/users/%1/password-reset", NULL,
     "user reset-password USER_ID", 1},
    {"user", "disable", "POST", "/api/v1/admin/users/%1/disable", NULL, "user disable USER_ID", 1},
    {"user", "enable", "POST", "/api/v1/admin/users/%1/enable", NULL, "user enable USER_ID", 1},
    {"org", "list", "GET", "/api/v1/admin/orgs?q=%1", NULL, "org list PART_OF_NAME", 1},
    {"credit", NULL, "POST", "/api/v1/admin/credits",
     "{\"org_id\":\"%1\",\"amount_fen\":#2,\"bank_reference\":\"%3\"}",
     "credit ORG_ID AMOUNT_FEN BANK_REFERENCE", 3},
    {"orders", NULL, "GET", "/api/v1/admin/orders?limit=200", NULL, "orders", 0},
    {"deliveries", "list", "GET", "/api/v1/admin/deliveries?limit=200", NULL, "deliveries list", 0},
    {"deliveries", "retry", "POST", "/api/v1/admin/deliveries/%1/retry", NULL,
     "deliveries retry DELIVERY_ID", 1},
    {"health", NULL, "GET", "/healthz", NULL, "health", 0},
    {"metrics", NULL, "GET", "/metrics", NULL, "metrics", 0},
};
enum { REMOTE_COUNT = sizeof(remotes) / sizeof(remotes[0]) };

bool command_is_remote(const char *word)
{
    for (int i = 0; i < REMOTE_COUNT; i++)
        if (strcmp(remotes[i].word, word) == 0)
            return true;
    return false;
}

void command_remote_help(void)
{
    for (int i = 0; i < REMOTE_COUNT; i++)
        printf("  suanhe %s\n", remotes[i].usage);
}

static const struct remote *find(const struct command_line *line, int *out_first)
{
    for (int i = 0; i < REMOTE_COUNT; i++) {
        const struct remote *r = &remotes[i];
        if (strcmp(r->word, line->rest[0]) != 0)
            continue;
        int first = r->sub ? 2 : 1;
        if (r->sub && (line->rest_count < 2 || strcmp(r->sub, line->rest[1]) != 0))
            continue;
        if (line->rest_count - first == r->arguments) {
            *out_first = first;
            return r;
        }
    }
    return NULL;
}

/* An argument goes into a path percent-encoded, into JSON escaped, and as a bare number (#n) only
 * if it is one. */
static bool put_argument(struct buf *out, const char *argument, bool in_json, bool bare)
{
    int64_t number;
    if (bare) {
        if (!str_to_int(str_of(argument), 0, INT64_MAX, &number))
            return false;
        buf_put_int(out, number);
        return true;
    }
    for (const char *c = argument; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (in_json && (byte == '"' || byte == '\\' || byte < 0x20))
            buf_printf(out, "\\u%04x", byte);
        else if (!in_json && !((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                               (byte >= 'a' && byte <= 'z') || strchr("-._~", byte)))
            buf_printf(out, "%%%02X", byte);
        else
            buf_putc(out, *c);
    }
    return true;
}

static bool fill(struct buf *out, const char *pattern, const char *const *arguments, bool in_json)
{
    for (const char *c = pattern; *c; c++) {
        bool marked = (*c == '%' || (in_json && *c == '#')) && c[1] >= '1' && c[1] <= '9';
        if (!marked) {
            buf_putc(out, *c);
            continue;
        }
        if (!put_argument(out, arguments[c[1] - '1'], in_json, *c == '#'))
            return false;
        c++;
    }
    return true;
}

static str_t one_time_key(struct arena *arena)
{
    uint8_t bytes[16];
    crypto_random(bytes, sizeof(bytes));
    return hex_encode(arena, str_from(bytes, sizeof(bytes)));
}

static int call(const struct command_line *line, const struct remote *remote,
                const char *const *arguments)
{
    struct ctx ctx;
    struct platform nothing = {0};
    struct buf path, body;
    struct http_answer answer = {0};
    ctx_init(&ctx, &nothing, clock_now());
    buf_init(&path, ctx.arena, 4096);
    buf_init(&body, ctx.arena, 65536);
    buf_puts(&path, "http://localhost");
    if (!fill(&path, remote->path, arguments, false) ||
        (remote->body && !fill(&body, remote->body, arguments, true))) {
        fprintf(stderr, "usage: suanhe %s\n", remote->usage);
        ctx_done(&ctx);
        return 2;
    }
    const struct http_call call = {
        .method = remote->method,
        .url = buf_str(&path),
        .body = buf_str(&body),
        .header_names = {STR("Idempotency-Key")},
        .header_values = {one_time_key(ctx.arena)},
        .header_count = strcmp(remote->method, "GET") == 0 ? 0 : 1,
        .unix_socket = str_z(ctx.arena, settings_path(line, "admin.sock")),
        .allow_plain_http = true,
        .allow_private = true,
        .reply_max = 16 << 20,
    };
    struct http_client *client = http_client_new();
    int status = 0;
    if (http_send(&ctx, client, &call, &answer) != OK) {
        fprintf(stderr,
                "suanhe: no server answers in this data folder (`suanhe serve` runs one): " STR_FMT
                "\n",
                STR_ARG(answer.error));
        status = 1;
    } else {
        fprintf(answer.status < 400 ? stdout : stderr, STR_FMT "\n", STR_ARG(answer.body));
        status = answer.status < 400 ? 0 : 1;
    }
    http_client_free(client);
    ctx_done(&ctx);
    return status;
}

int command_remote(const struct command_line *line)
{
    int first = 0;
    const struct remote *remote = find(line, &first);
    if (remote)
        return call(line, remote, &line->rest[first]);
    fprintf(stderr, "usage:\n");
    for (int i = 0; i < REMOTE_COUNT; i++)
        if (strcmp(remotes[i].word, line->rest[0]) == 0)
            fprintf(stderr, "  suanhe %s\n", remotes[i].usage);
    return 2;
}
