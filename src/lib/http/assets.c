/* SPDX-License-Identifier: Apache-2.0 */
/* The portal's files, from memory (or from a folder while developing). Names with a hash are kept
 * for ever by browsers, everything else is asked for again by its ETag. A missing file under
 * /assets/ is missing; any other path outside the server's own is a page of the portal, whose
 * router is in index.html. */
#include "http_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 32 << 20 };

/* ---- Accept-Encoding ---- */
static bool accepts(str_t header, const char *coding)
{
    str_t rest = header, part = {0};
    while (str_next(&rest, ',', &part)) {
        part = str_trim(part);
        str_t name = {0};
        str_t parameters = part;
        if (!str_next(&parameters, ';', &name) || !str_is(str_trim(name), coding))
            continue;
        parameters = str_trim(parameters);
        if (!str_starts(parameters, STR("q=0")))
            return true;
        for (size_t i = 3; i < parameters.len; i++)
            if (parameters.data[i] >= '1' && parameters.data[i] <= '9')
                return true;
        return false;
    }
    return false;
}

struct variant {
    const char *suffix, *coding;
    const uint8_t *data;
    size_t len;
};

static struct variant choose(const struct http_asset *asset, str_t accept_encoding)
{
    if (asset->br && accepts(accept_encoding, "br"))
        return (struct variant){"-br", "br", asset->br, asset->br_len};
    if (asset->gz && accepts(accept_encoding, "gzip"))
        return (struct variant){"-gz", "gzip", asset->gz, asset->gz_len};
    return (struct variant){"", NULL, asset->raw, asset->raw_len};
}

/* ---- embedded ---- */
static int compare_path(const void *key, const void *element)
{
    return str_cmp(*(const str_t *)key, str_of(((const struct http_asset *)element)->path));
}

static const struct http_asset *find_asset(const struct http_options *options, str_t path)
{
    if (options->asset_count == 0)
        return NULL;
    return bsearch(&path, options->assets, (size_t)options->asset_count, sizeof options->assets[0],
                   compare_path);
}

static void borrow(struct exchange *x, const void *data, size_t len)
{
    /* The reply only reads its body, which lives as long as the program. */
    memcpy(&x->reply.body.data, &data, sizeof data);
    x->reply.body.len = len;
}

static void serve_asset(struct exchange *x, const struct http_asset *asset)
{
    struct variant variant = choose(asset, x->heads.accept_encoding);
    str_t tag = str_of(asset->etag);
    if (tag.len >= 2 && tag.data[0] == '"')
        tag = str_from(tag.data + 1, tag.len - 2);
    reply_header(&x->reply, "ETag",
                 str_printf(x->ctx.arena, "\"" STR_FMT "%s\"", STR_ARG(tag), variant.suffix));
    reply_header(&x->reply, "Cache-Control",
                 asset->immutable ? STR("public, max-age=31536000, immutable") : STR("no-cache"));
    if (asset->br || asset->gz)
        reply_header(&x->reply, "Vary", STR("Accept-Encoding"));
    if (variant.coding)
        reply_header(&x->reply, "Content-Encoding", str_of(variant.coding));
    x->reply.content_type = asset->mime;
    borrow(x, variant.data, variant.len);
}

/* ---- a folder ---- */
static const char *mime_of(str_t path)
{
    static const struct {
        const char *suffix, *mime;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".svg", "image/svg+xml"},
                 {".json", "application/json; charset=utf-8"},
                 {".webmanifest", "application/manifest+json"},
                 {".png", "image/png"},
                 {".jpg", "image/jpeg"},
                 {".webp", "image/webp"},
                 {".ico", "image/x-icon"},
                 {".woff2", "font/woff2"},
                 {".wasm", "application/wasm"},
                 {".txt", "text/plain; charset=utf-8"}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (str_ends(path, str_of(types[i].suffix)))
            return types[i].mime;
    return "application/octet-stream";
}

static bool path_is_plain(str_t path)
{
    str_t rest = str_cut(path, 1), part = {0};
    while (str_next(&rest, '/', &part))
        if (part.len == 0 || part.data[0] == '.' || memchr(part.data, '\\', part.len))
            return false;
    return path.len > 1;
}

static bool serve_file(struct exchange *x, str_t path)
{
    if (!path_is_plain(path))
        return false;
    str_t name =
        str_printf(x->ctx.arena, "%s" STR_FMT, x->server->options.portal_dir, STR_ARG(path));
    int fd = open(name.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    struct stat info;
    bool good = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= FILE_MAX;
    size_t len = good ? (size_t)info.st_size : 0, have = 0;
    char *data = arena_alloc(x->ctx.arena, len + 1);
    while (good && have < len) {
        ssize_t now = read(fd, data + have, len - have);
        good = now > 0;
        have += good ? (size_t)now : 0;
    }
    close(fd);
    if (!good)
        return false;
    reply_header(&x->reply, "Cache-Control", STR("no-cache"));
    x->reply.content_type = mime_of(path);
    x->reply.body.data = data;
    x->reply.body.len = len;
    return true;
}

/* ---- both ---- */
static bool serve_path(struct exchange *x, str_t path)
{
    if (x->server->options.portal_dir)
        return serve_file(x, path);
    const struct http_asset *asset = find_asset(&x->server->options, path);
    if (asset)
        serve_asset(x, asset);
    return asset != NULL;
}

bool asset_is_there(const struct exchange *x)
{
    return find_asset(&x->server->options, x->request.path) != NULL;
}

bool asset_serve(struct exchange *x)
{
    str_t path = x->request.path;
    if (path_is_server(path)) {
        const struct http_asset *asset = find_asset(&x->server->options, path);
        if (asset)
            serve_asset(x, asset);
        return x->from_asset = asset != NULL;
    }
    bool found = str_is(path, "/") ? serve_path(x, STR("/index.html")) : serve_path(x, path);
    if (!found && x->server->options.docs_index_fallback && !str_starts(path, STR("/assets/")))
        found = serve_path(x, STR("/index.html"));
    x->from_asset = found;
    return found;
}
