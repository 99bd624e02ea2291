/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's settings: one JSON file, since it holds a list of providers with their credentials.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"

static bool read_file(struct arena *arena, const char *path, str_t *out)
{
    FILE *file = fopen(path, "rb");
    struct buf buf;
    char part[8192];
    size_t n;
    if (!file)
        return false;
    buf_init(&buf, arena, 4 << 20);
    while ((n = fread(part, 1, sizeof(part), file)) > 0)
        buf_put(&buf, str_from(part, n));
    bool good = !ferror(file) && !buf.overflow;
    fclose(file);
    *out = buf_str(&buf);
    return good;
}

static bool read_listen(str_t text, struct agent_config *out)
{
    str_t rest = text, host;
    int64_t port;
    if (!str_next(&rest, ':', &host) || !str_to_int(rest, 0, 65535, &port))
        return false;
    out->listen_host = host;
    out->listen_port = (int)port;
    return true;
}

static bool read_provider(const struct json *json, struct provider *out)
{
    str_t url = json_get_text(json, "base_url");
    size_t at = url.len;
    while (at > 0 && url.data[at - 1] != '/')
        at--;
    out->name = json_get_text(json, "name");
    out->code = str_cut(url, at);
    out->client_id = json_get_text(json, "client_id");
    out->client_secret = json_get_text(json, "client_secret");
    out->bearer = json_get_text(json, "bearer");
    return out->code.len > 0 && out->client_id.len > 0 && out->client_secret.len > 0 &&
           out->bearer.len >= 16;
}

bool agent_config_read(const char *path, struct agent_config *out, const char **out_message)
{
    str_t text;
    out->arena = arena_new(0);
    if (!read_file(out->arena, path, &text)) {
        *out_message = "cannot read the settings file";
        return false;
    }
    const struct json *json = json_parse_text(out->arena, text, out_message);
    if (!json)
        return false;
    out->platform_url = json_get_text(json, "platform");
    out->state_dir = json_get_text(json, "state_dir");
    out->tool_base = json_get_text(json, "tool_base");
    out->delay_ms = json_get_int(json, "delay_ms", 1500);
    const struct json *providers = json_get(json, "providers");
    size_t count = json_count(providers);
    if (!read_listen(json_get_text(json, "listen"), out) || out->platform_url.len == 0 ||
        out->state_dir.len == 0 || count > PROVIDERS_MAX) {
        *out_message =
            "listen (HOST:PORT), platform, state_dir and at most 64 providers are needed";
        return false;
    }
    for (size_t i = 0; i < count; i++)
        if (!read_provider(json_at(providers, i), &out->providers[i])) {
            *out_message = "a provider needs base_url, client_id, client_secret and bearer";
            return false;
        }
    out->provider_count = (int)count;
    if (out->tool_base.len == 0)
        out->tool_base = str_printf(out->arena, "http://" STR_FMT ":%d", STR_ARG(out->listen_host),
                                    out->listen_port);
    return true;
}
