/* SPDX-License-Identifier: Apache-2.0 */
/* The table of settings: what each is called, its default, what it means. */
#include "main.h"

#define TEXT(member, max, otherwise_, help_)                                           \
    {                                                                                  \
        .field = FIELD(struct settings, member, 0, max, 0), .otherwise = (otherwise_), \
        .help = (help_)                                                                \
    }
#define NUMBER(member, min, max, otherwise_, help_)                                      \
    {                                                                                    \
        .field = FIELD(struct settings, member, min, max, 0), .otherwise = (otherwise_), \
        .help = (help_)                                                                  \
    }

static const struct setting settings[] = {
    TEXT(data_dir, 1000, "./var", "folder of keys, database and sockets"),
    TEXT(db, 1000, "", "sqlite:PATH or postgresql://...; default DATA_DIR/suanhe.db"),
    TEXT(bind, 100, "127.0.0.1", "address to listen on"),
    NUMBER(port, 0, 65535, "8080", "port to listen on; 0 takes a free one"),
    TEXT(base_url, 300, "", "how people reach it; default http://localhost:PORT"),
    TEXT(evidence_host, 200, "",
         "host in the origin of the evidence logs; default that of base_url"),
    TEXT(kek_file, 1000, "",
         "file of the key-encryption key; default DATA_DIR/kek, made at first start"),
    TEXT(log_level, 10, "info", "error, warn, info or debug"),
    TEXT(portal_dir, 1000, "", "serve the portal from this folder"),
    TEXT(allow_plain_http, 500, "", "networks to which plain http is allowed, such as 127.0.0.0/8"),
    TEXT(trusted_proxy, 100, "", "address of the proxy whose X-Forwarded-* count"),
    TEXT(bank_account_name, 100, "算合运营专户（演示）", "account that people transfer to"),
    TEXT(bank_name, 100, "演示银行", "its bank"),
    TEXT(bank_account_no, 60, "0000 0000 0000 0000", "its number"),
    NUMBER(instance, 0, 63, "0", "number of this instance among several"),
    NUMBER(workers, 0, 64, "0", "threads that read and hash; 0: 4"),
    TEXT(agent_url, 300, "http://127.0.0.1:9090",
         "with init --demo: the demo stores' scheduling platform"),
    TEXT(market_dir, 1000, "./data", "with init --demo: the market's data"),
    {.field = FIELD(struct settings, new_epoch, 0, 1, 0),
     .otherwise = "false",
     .help = "with restore: go on with an older copy, in a new epoch of the evidence"},
    TEXT(approved_by, 200, "", "with restore --new-epoch: who approved it; stands in the evidence"),
    {.field = FIELD(struct settings, demo, 0, 1, 0),
     .otherwise = "false",
     .help = "with init: the demo market"},
    {.field = FIELD(struct settings, test_clock, 0, 1, 0),
     .otherwise = "false",
     .help = "development only"},
};

const struct setting_table settings_table = {
    settings, (int)(sizeof(settings) / sizeof(settings[0])), "SUANHE_"};
