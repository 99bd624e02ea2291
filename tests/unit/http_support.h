/* SPDX-License-Identifier: Apache-2.0 */
/* A real server on a free port over a database file of its own, and a client that writes and reads
 * bytes. */
#ifndef SUANHE_TEST_HTTP_SUPPORT_H
#define SUANHE_TEST_HTTP_SUPPORT_H

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/http.h"

#define UNUSED __attribute__((unused))
#define ALICE "Authorization: Bearer alice\r\n"
#define BOB "Authorization: Bearer bob\r\n"
#define KEY(key) "Idempotency-Key: " key "\r\n"

struct fixture {
    char dir[64];
    char path[160];
    struct ctx ctx;
    struct platform platform;
    struct http_options options;
    struct http_server *server;
};

struct answer {
    int status;
    char head[16384];
    char body[262144];
    size_t body_len;
};

/* ---- database ---- */
static void copy_file(const char *from, const char *to)
{
    char data[8192];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    size_t len = fread(data, 1, sizeof data, in);
    assert_int_equal(fwrite(data, 1, len, out), len);
    fclose(in);
    fclose(out);
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
    fclose(out);
}

static const char *in_dir(struct fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    return f->path;
}

UNUSED static void open_database(struct fixture *f)
{
    char sql_dir[80];
    snprintf(f->dir, sizeof f->dir, "/tmp/suanhe-http-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(sql_dir, sizeof sql_dir, "%s/sql", f->dir);
    assert_int_equal(mkdir(sql_dir, 0700), 0);
    copy_file("sql/0001_http.sqlite.sql", in_dir(f, "sql/0001_http.sqlite.sql"));
    copy_file("sql/0001_http.pg.sql", in_dir(f, "sql/0001_http.pg.sql"));
    write_file(in_dir(f, "sql/0002_note.sql"), "CREATE TABLE note (id KEY, text TEXT NOT NULL);\n");
    ctx_init(&f->ctx, &f->platform, clock_now());
    f->platform.ids = id_maker_new(0);
    struct db_options options = {
        .url = str_printf(f->ctx.arena, "sqlite:%s/db", f->dir),
        .sql_dir = str_z(f->ctx.arena, str_of(sql_dir)),
    };
    int applied = 0;
    if (db_open(&f->ctx, &options, &f->platform.db) != OK ||
        db_migrate(&f->ctx, f->platform.db, &applied) != OK)
        fail_msg("%s: %s", f->ctx.problem.reason, f->ctx.problem.detail);
}

UNUSED static void close_database(struct fixture *f)
{
    db_close(f->platform.db);
    id_maker_free(f->platform.ids);
    ctx_done(&f->ctx);
    static const char *const names[] = {"sql/0001_http.sqlite.sql",
                                        "sql/0001_http.pg.sql",
                                        "sql/0002_note.sql",
                                        "db",
                                        "db-wal",
                                        "db-shm",
                                        "db.lock",
                                        "admin.sock",
                                        "portal/index.html",
                                        "portal"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove(in_dir(f, names[i]));
    remove(in_dir(f, "sql"));
    rmdir(f->dir);
}

/* ---- sockets ---- */
static int connect_port(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)(void *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool send_bytes(int fd, const char *data, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t now = send(fd, data + sent, len - sent, MSG_NOSIGNAL);
        if (now <= 0)
            return false;
        sent += (size_t)now;
    }
    return true;
}

static const char *header_in(const struct answer *answer, const char *name, char out[2048])
{
    size_t len = strlen(name);
    for (const char *line = answer->head; (line = strstr(line, "\r\n"));) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            const char *from = line + len + 1;
            while (*from == ' ')
                from++;
            size_t count = strcspn(from, "\r");
            snprintf(out, 2048, "%.*s", (int)count, from);
            return out;
        }
    }
    return NULL;
}

/* Reads one reply; status 0: the connection ended without one. */
static void read_answer(int fd, bool head_only, struct answer *answer)
{
    answer->status = 0;
    answer->body_len = 0;
    answer->body[0] = '\0';
    size_t len = 0;
    answer->head[0] = '\0';
    while (len + 1 < sizeof answer->head && !strstr(answer->head, "\r\n\r\n")) {
        ssize_t now = recv(fd, answer->head + len, 1, 0);
        if (now <= 0)
            return;
        answer->head[++len] = '\0';
    }
    char value[2048];
    if (sscanf(answer->head, "HTTP/1.%*c %d", &answer->status) != 1)
        return;
    const char *length = header_in(answer, "Content-Length", value);
    size_t want = length && !head_only ? (size_t)strtoul(length, NULL, 10) : 0;
    assert_true(want < sizeof answer->body);
    while (answer->body_len < want) {
        ssize_t now = recv(fd, answer->body + answer->body_len, want - answer->body_len, 0);
        if (now <= 0)
            break;
        answer->body_len += (size_t)now;
    }
    answer->body[answer->body_len] = '\0';
}

/* One request on a connection that stays: method, path, header lines, body. */
UNUSED static void ask_on(int fd, const char *method, const char *path, const char *headers,
                          const char *body, struct answer *answer)
{
    char request[32768];
    size_t body_len = body ? strlen(body) : 0;
    char length[64] = "";
    if (body)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", body_len);
    bool typed = strstr(headers, "Content-Type") != NULL;
    int len =
        snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: test\r\n%s%s%s\r\n%s", method,
                 path, headers, length, body && !typed ? "Content-Type: application/json\r\n" : "",
                 body ? body : "");
    assert_true(len > 0 && (size_t)len < sizeof request);
    send_bytes(fd, request, (size_t)len);
    read_answer(fd, strcmp(method, "HEAD") == 0, answer);
}

UNUSED static void ask(const struct fixture *f, const char *method, const char *path,
                       const char *headers, const char *body, struct answer *answer)
{
    int fd = connect_port(http_port(f->server));
    assert_true(fd >= 0);
    ask_on(fd, method, path, headers, body, answer);
    close(fd);
}

UNUSED static void assert_has(const struct answer *answer, const char *text)
{
    if (!strstr(answer->body, text) && !strstr(answer->head, text))
        fail_msg("no %s in\n%s%s", text, answer->head, answer->body);
}

UNUSED static void assert_header(const struct answer *answer, const char *name, const char *value)
{
    char got[2048];
    if (!header_in(answer, name, got))
        fail_msg("no header %s in\n%s", name, answer->head);
    assert_string_equal(got, value);
}

UNUSED static void assert_problem(const struct answer *answer, int status, const char *code)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\"code\":\"%s\"", code);
    if (answer->status != status)
        fail_msg("%d wanted, got %d\n%s%s", status, answer->status, answer->head, answer->body);
    assert_header(answer, "Content-Type", "application/problem+json");
    assert_has(answer, wanted);
}

UNUSED static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L}, NULL);
}

#endif
