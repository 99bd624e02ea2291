/* SPDX-License-Identifier: Apache-2.0 */
/* The ground everything stands on: errors, memory, text, money, time, ids, JSON, field tables,
 * rules of state machines, settings, log lines. Knows nothing of the business, the network or a
 * database. */
#ifndef SUANHE_BASE_H
#define SUANHE_BASE_H

#include "arena.h"
#include "clock.h"
#include "config.h"
#include "ctx.h"
#include "err.h"
#include "fsm.h"
#include "id.h"
#include "json.h"
#include "log.h"
#include "money.h"
#include "shape.h"
#include "str.h"

#endif
