/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the program share: settings, opening and closing of a platform, the commands.
 */
#ifndef SUANHE_MAIN_H
#define SUANHE_MAIN_H

#include "api/api.h"
#include "base/base.h"
#include "http/http.h"

extern const struct setting_table settings_table;
extern const struct http_asset portal_assets[];
extern const int portal_asset_count;

/* Command line after its settings were taken out. */
struct command_line {
    struct arena *arena;
    struct settings settings;
    const char *rest[64];
    int rest_count;
};

/* A platform opened by this process: the data folder is locked, keys and database are open. */
struct opened {
    struct platform platform;
    struct ctx ctx; /* for opening and commands */
    int lock_fd;
    bool new_epoch; /* platform_open first begins a new epoch of the evidence logs */
};
/* Locks the data folder (refuses while another process holds it) and opens its keys; create makes
 * both. Starts no thread. False and a message on stderr. */
bool folder_open(const struct command_line *line, bool create, struct opened *out);
/* Opens the database, checks (or with migrate brings up) its schema, begins a new epoch where told
 * to, and opens the evidence logs. */
bool platform_open(const struct command_line *line, bool migrate, struct opened *opened);
/* For commands that only read beside a running server: no lock, no evidence. */
bool platform_open_reading(const struct command_line *line, struct opened *out);
void platform_close(struct opened *opened);
/* Says on stderr why ctx was refused; returns 1. */
int complain(const struct ctx *ctx, const char *what);
str_t make_password(struct arena *arena);
/* The demo market: stores with products, a consumer with a balance, the agent's settings file. */
bool demo_load(const struct command_line *line, struct opened *opened);
str_t settings_db_url(const struct command_line *line);
str_t settings_base_url(const struct settings *settings, struct arena *arena);
str_t settings_path(const struct command_line *line, const char *name); /* DATA_DIR/name */

/* All route tables of the server. */
extern const struct route_table *const all_routes[];
extern const int all_route_count;

int command_serve(const struct command_line *line);
int command_init(const struct command_line *line);
int command_migrate(const struct command_line *line);
int command_routes(const struct command_line *line);
int command_fsck(const struct command_line *line);
int command_backup(const struct command_line *line);
int command_restore(const struct command_line *line);
int command_export(const struct command_line *line);
/* Commands that call the running server over its socket. */
int command_remote(const struct command_line *line);
bool command_is_remote(const char *word);
void command_remote_help(void);

#endif
