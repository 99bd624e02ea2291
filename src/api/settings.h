/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of one platform, filled by main from file, environment and command line. */
#ifndef SUANHE_API_SETTINGS_H
#define SUANHE_API_SETTINGS_H

#include "base/base.h"

struct settings {
    str_t data_dir;         /* keys, database, sockets */
    str_t db;               /* "sqlite:PATH" or "postgresql://..."; empty: DATA_DIR/suanhe.db */
    str_t bind;             /* address to listen on */
    str_t base_url;         /* as people reach it; empty: http://localhost:PORT */
    str_t evidence_host;    /* host in the origin of the logs; empty: that of base_url */
    str_t kek_file;         /* key-encryption key; empty: DATA_DIR/kek, made at the first start
                               (development) */
    str_t log_level;        /* error, warn, info, debug */
    str_t portal_dir;       /* serve the portal from this folder instead of the embedded one */
    str_t allow_plain_http; /* networks to which plain http is allowed, such as 127.0.0.0/8; empty:
                               none */
    str_t trusted_proxy;    /* address whose X-Forwarded-* count */
    str_t bank_account_name, bank_name, bank_account_no; /* shown where people top up */
    int32_t port, instance;
    int32_t workers;   /* threads that read and hash; 0: 4 */
    str_t agent_url;   /* with init --demo: where the demo stores' scheduling platform answers */
    str_t market_dir;  /* with init --demo: the folder of the market's data */
    bool new_epoch;    /* with restore: go on with a copy that lies behind signed heads */
    str_t approved_by; /* with restore --new-epoch: who approved it */
    bool demo;         /* with init: load the demo market */
    bool test_clock;   /* development builds only */
};

#endif
