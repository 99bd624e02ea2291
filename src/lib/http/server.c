/* SPDX-License-Identifier: Apache-2.0 */
/* The event loops: connections, exchanges, start and stop. Everything of the HTTP library that has
 * state is here; a request is read completely, then its connection is suspended until its reply
 * stands. */
#include "http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"

enum { BACKLOG = 1024, PER_IP_MAX = 256, BODY_BYTES_PER_S = 16 << 10 };

/* ---- exchanges ---- */
struct exchange *exchange_take(struct http_server *server)
{
    pthread_mutex_lock(&server->exchanges_mutex);
    struct exchange *x = server->free_exchanges;
    if (x) {
        server->free_exchanges = x->next;
        server->free_count--;
    }
    pthread_mutex_unlock(&server->exchanges_mutex);
    struct arena *arena = x ? x->ctx.arena : arena_new(0);
    if (!x)
        x = malloc(sizeof *x);
    ENSURE(x);
    *x = (struct exchange){.server = server};
    x->ctx.arena = arena;
    x->ctx.platform = server->platform;
    x->ctx.now = clock_now();
    x->start_us = clock_monotonic_us();
    reply_init(x);
    return x;
}

void exchange_give(struct exchange *x)
{
    struct http_server *server = x->server;
    arena_reset(x->ctx.arena);
    pthread_mutex_lock(&server->exchanges_mutex);
    bool keep = server->free_count < EXCHANGES_KEPT;
    if (keep) {
        x->next = server->free_exchanges;
        server->free_exchanges = x;
        server->free_count++;
    }
    pthread_mutex_unlock(&server->exchanges_mutex);
    if (!keep) {
        arena_free(x->ctx.arena);
        free(x);
    }
}

static struct conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static int64_t read_deadline(const struct http_server *server, int64_t extra_s)
{
    return clock_monotonic_us() + (server->options.timeout_s + extra_s) * INT64_C(1000000);
}

/* ---- requests ---- */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    const struct listener *listener = cls;
    struct exchange *x = exchange_take(listener->server);
    x->connection = connection;
    x->conn = conn_of(connection);
    x->request.raw_path = str_dup(x->ctx.arena, str_of(uri));
    return x;
}

static enum MHD_Result send_now(struct exchange *x, err_t result)
{
    x->result = result;
    return reply_send(x);
}

static enum MHD_Result on_headers(struct exchange *x, const char *method, const char *version)
{
    atomic_fetch_add_explicit(&x->server->requests, 1, memory_order_relaxed);
    x->state = EX_READING;
    x->result = edge_begin(x, method, version);
    bool expects = x->heads.expect.data != NULL;
    if (x->result != OK && (x->close_after || expects)) {
        x->close_after = true;
        return reply_send(x);
    }
    int64_t extra = (int64_t)x->body_capacity / BODY_BYTES_PER_S;
    if (x->heads.transfer_encoding.data)
        extra = (int64_t)x->server->options.body_max / BODY_BYTES_PER_S;
    atomic_store(&x->conn->deadline_us, read_deadline(x->server, extra));
    return MHD_YES;
}

static enum MHD_Result hand_over(struct exchange *x)
{
    struct http_server *server = x->server;
    if (atomic_load(&server->stopping))
        return send_now(x, refuse_status(&x->ctx, 503, "server_stopping", "try again shortly"));
    if (server->options.hooks.admit) {
        err_t admitted = server->options.hooks.admit(&x->ctx, &x->request);
        if (admitted != OK)
            return send_now(x, admitted);
    }
    err_t body = edge_body(x);
    if (body != OK)
        return send_now(x, body);
    x->counted = true;
    atomic_fetch_add(&server->in_flight, 1);
    x->state = EX_RUNNING;
    MHD_suspend_connection(x->connection);
    if (!run_exchange(x)) {
        x->result = refuse_status(&x->ctx, 503, "server_busy", "too much waits; try again shortly");
        x->state = EX_READY;
        MHD_resume_connection(x->connection);
    }
    return MHD_YES;
}

static enum MHD_Result on_complete_request(struct exchange *x)
{
    atomic_store(&x->conn->deadline_us, INT64_MAX);
    if (x->result != OK)
        return reply_send(x);
    if (x->request.route)
        return hand_over(x);
    if (asset_serve(x))
        return send_now(x, OK);
    return send_now(x, refuse(&x->ctx, ERR_NOT_FOUND, "not_found", "no such path"));
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **con_cls)
{
    (void)cls;
    (void)connection;
    (void)url;
    struct exchange *x = *con_cls;
    if (!x || !x->conn)
        return MHD_NO;
    if (x->state == EX_NEW)
        return on_headers(x, method, version);
    if (x->state == EX_READY)
        return reply_send(x);
    if (x->state != EX_READING)
        return MHD_YES;
    if (*upload_size) {
        bool taken = edge_take_body(x, upload, *upload_size);
        *upload_size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    return on_complete_request(x);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode why)
{
    (void)cls;
    (void)connection;
    (void)why;
    struct exchange *x = *con_cls;
    *con_cls = NULL;
    if (!x)
        return;
    if (x->counted)
        atomic_fetch_sub(&x->server->in_flight, 1);
    if (x->conn)
        atomic_store(&x->conn->deadline_us, read_deadline(x->server, 0));
    if (!stream_keeps(x)) {
        stream_release(x);
        if (x->reply.stream.close)
            x->reply.stream.close(x->reply.stream.state);
        exchange_give(x);
    }
}

/* ---- connections ---- */
static void write_ip(const struct sockaddr *address, char out[INET6_ADDRSTRLEN])
{
    out[0] = '\0';
    if (address && address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, out, INET6_ADDRSTRLEN);
    } else if (address && address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], out, INET6_ADDRSTRLEN);
        else
            inet_ntop(AF_INET6, &v6.sin6_addr, out, INET6_ADDRSTRLEN);
    }
}

/* A proxy in front, and tests, come from one address; only others are counted. */
static enum MHD_Result on_accept(void *cls, const struct sockaddr *address, socklen_t len)
{
    (void)len;
    struct http_server *server = ((const struct listener *)cls)->server;
    if (atomic_load(&server->stopping))
        return MHD_NO;
    char ip[INET6_ADDRSTRLEN];
    write_ip(address, ip);
    const char *proxy = server->options.trusted_proxy;
    if (ip[0] == '\0' || strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0 ||
        (proxy && strcmp(ip, proxy) == 0))
        return MHD_YES;
    int same = 0;
    pthread_mutex_lock(&server->conns_mutex);
    for (const struct conn *conn = server->conns; conn; conn = conn->next)
        same += strcmp(conn->ip, ip) == 0;
    pthread_mutex_unlock(&server->conns_mutex);
    return same < PER_IP_MAX ? MHD_YES : MHD_NO;
}

static bool peer_may_administer(int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

static void conn_open(const struct listener *listener, struct MHD_Connection *connection,
                      void **socket_context)
{
    struct http_server *server = listener->server;
    struct conn *conn = calloc(1, sizeof *conn);
    ENSURE(conn);
    conn->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    atomic_store(&conn->deadline_us, read_deadline(server, 0));
    conn->admin = listener->admin;
    if (listener->admin) {
        if (!peer_may_administer(conn->fd))
            shutdown(conn->fd, SHUT_RDWR);
    } else {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        write_ip(info ? info->client_addr : NULL, conn->ip);
    }
    pthread_mutex_lock(&server->conns_mutex);
    conn->next = server->conns;
    if (conn->next)
        conn->next->previous = conn;
    server->conns = conn;
    pthread_mutex_unlock(&server->conns_mutex);
    atomic_fetch_add(&server->connections, 1);
    *socket_context = conn;
}

static void conn_close(struct http_server *server, struct conn *conn)
{
    pthread_mutex_lock(&server->conns_mutex);
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next)
        conn->next->previous = conn->previous;
    pthread_mutex_unlock(&server->conns_mutex);
    atomic_fetch_sub(&server->connections, 1);
    free(conn);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    const struct listener *listener = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        conn_open(listener, connection, socket_context);
    else if (*socket_context)
        conn_close(listener->server, *socket_context);
}

/* Escapes are read by edge.c, after the path was cut. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

/* ---- listening ---- */
static int listen_tcp(const struct http_options *options, int *out_port)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&storage;
    char text[INET6_ADDRSTRLEN] = "";
    if (options->bind.len >= sizeof text)
        return -1;
    memcpy(text, options->bind.data, options->bind.len);
    socklen_t len = sizeof *v4;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)options->port);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)options->port);
        len = sizeof *v6;
    } else {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t bound = sizeof storage;
    if (bind(fd, (struct sockaddr *)(void *)&storage, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&storage, &bound) != 0) {
        int kept = errno;
        close(fd);
        errno = kept;
        return -1;
    }
    *out_port = ntohs(storage.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
    return fd;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    unlink(path);
    /* Nobody can connect before listen(), so the mode is right from the first moment. */
    if (bind(fd, (struct sockaddr *)(void *)&address, sizeof address) != 0 ||
        chmod(path, 0600) != 0 || listen(fd, 64) != 0) {
        int kept = errno;
        close(fd);
        errno = kept;
        return -1;
    }
    return fd;
}

static bool listener_start(struct http_server *server, struct listener *listener, int threads)
{
    const struct http_options *options = &server->options;
    listener->server = server;
    struct MHD_OptionItem pool[] = {{MHD_OPTION_THREAD_POOL_SIZE, threads, NULL},
                                    {MHD_OPTION_END, 0, NULL}};
    if (threads < 2)
        pool[0] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    unsigned int limit = (unsigned int)(listener->admin ? 64 : options->connections_max);
    unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    listener->daemon = MHD_start_daemon(
        flags, 0, on_accept, listener, on_request, listener, MHD_OPTION_LISTEN_SOCKET, listener->fd,
        MHD_OPTION_ARRAY, pool, MHD_OPTION_NOTIFY_COMPLETED, on_completed, listener,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
        listener, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_LIMIT,
        limit, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)options->timeout_s,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    return listener->daemon != NULL;
}

/* ---- start ---- */
static void fill_defaults(struct http_options *options)
{
    if (options->bind.len == 0)
        options->bind = STR("127.0.0.1");
    if (options->threads == 0)
        options->threads = 2;
    if (options->workers == 0)
        options->workers = 4;
    if (options->body_max == 0)
        options->body_max = 1 << 20;
    if (options->connections_max == 0)
        options->connections_max = 2048;
    if (options->timeout_s == 0)
        options->timeout_s = 15;
}

static err_t start_parts(struct ctx *ctx, struct http_server *server)
{
    const struct http_options *options = &server->options;
    const char *message = "";
    if (!router_init(&server->router, options->tables, options->table_count, &message))
        return refuse(ctx, ERR_INTERNAL, "route_table", "route %s: bad, or there twice", message);
    TRY(idempotency_init(ctx, server));
    if (!pool_start(server, options->workers) || !streams_start(server) || !keeper_start(server))
        return refuse(ctx, ERR_INTERNAL, "no_threads", "cannot start threads");
    server->tcp.fd = listen_tcp(options, &server->port);
    if (server->tcp.fd < 0)
        return refuse(ctx, ERR_INTERNAL, "listen_failed", STR_FMT " port %d: %s",
                      STR_ARG(options->bind), options->port, strerror(errno));
    if (!listener_start(server, &server->tcp, options->threads))
        return refuse(ctx, ERR_INTERNAL, "listen_failed", "the HTTP library did not start");
    if (!options->unix_socket)
        return OK;
    server->local.admin = true;
    server->local.fd = listen_unix(options->unix_socket);
    if (server->local.fd < 0)
        return refuse(ctx, ERR_INTERNAL, "listen_failed", "%s: %s", options->unix_socket,
                      strerror(errno));
    return listener_start(server, &server->local, 1)
               ? OK
               : refuse(ctx, ERR_INTERNAL, "listen_failed", "the HTTP library did not start");
}

err_t http_start(struct ctx *ctx, struct platform *platform, const struct http_options *options,
                 struct http_server **out_server)
{
    struct http_server *server = calloc(1, sizeof *server);
    ENSURE(server);
    server->platform = platform;
    server->options = *options;
    server->tcp.fd = server->local.fd = -1;
    fill_defaults(&server->options);
    crypto_random(&server->id_seed, sizeof server->id_seed);
    pthread_mutex_init(&server->exchanges_mutex, NULL);
    pthread_mutex_init(&server->conns_mutex, NULL);
    err_t started = start_parts(ctx, server);
    if (started != OK) {
        http_stop(server);
        return started;
    }
    *out_server = server;
    return OK;
}

int http_port(const struct http_server *server)
{
    return server->port;
}

/* ---- stop ---- */
static void quiesce(struct listener *listener)
{
    if (!listener->daemon)
        return;
    /* The library hands the socket back; its own threads may still look at it until they are told.
     */
    int fd = MHD_quiesce_daemon(listener->daemon);
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
    }
    listener->fd = -1;
}

static void listener_stop(struct listener *listener)
{
    if (listener->daemon)
        MHD_stop_daemon(listener->daemon);
    else if (listener->fd >= 0)
        close(listener->fd);
}

static bool drained(const struct http_server *server)
{
    for (int waited = 0; waited < STOP_WAIT_MS; waited += 5) {
        if (atomic_load(&server->in_flight) == 0)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return atomic_load(&server->in_flight) == 0;
}

static void free_exchanges(struct http_server *server)
{
    while (server->free_exchanges) {
        struct exchange *x = server->free_exchanges;
        server->free_exchanges = x->next;
        arena_free(x->ctx.arena);
        free(x);
    }
}

void http_stop(struct http_server *server)
{
    if (!server)
        return;
    atomic_store(&server->stopping, true);
    quiesce(&server->tcp);
    quiesce(&server->local);
    streams_end(server);
    if (!drained(server)) {
        /* What still runs holds its memory; it stays until the process ends, which is about to. */
        log_at(LOG_ERROR, "http_stop", "in_flight=%lld",
               (long long)atomic_load(&server->in_flight));
        return;
    }
    listener_stop(&server->tcp);
    listener_stop(&server->local);
    if (server->options.unix_socket && server->local.daemon)
        unlink(server->options.unix_socket);
    keeper_stop(server);
    streams_stop(server);
    pool_stop(server);
    router_free(&server->router);
    idempotency_free(&server->idempotency);
    free_exchanges(server);
    pthread_mutex_destroy(&server->exchanges_mutex);
    pthread_mutex_destroy(&server->conns_mutex);
    free(server);
}

void http_stats(struct http_server *server, struct http_stats *out)
{
    *out = (struct http_stats){.requests = atomic_load(&server->requests),
                               .refused = atomic_load(&server->refused),
                               .in_flight = atomic_load(&server->in_flight),
                               .streams = streams_count(server),
                               .connections = atomic_load(&server->connections)};
    for (int i = 0; i < 6; i++)
        out->by_class[i] = atomic_load(&server->by_class[i]);
}
