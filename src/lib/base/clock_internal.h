/* SPDX-License-Identifier: Apache-2.0 */
/* For log.c: time as text without an arena. */
#ifndef SUANHE_BASE_CLOCK_INTERNAL_H
#define SUANHE_BASE_CLOCK_INTERNAL_H

#include "clock.h"

enum { UTC_TEXT_MAX = 32 };

/* Writes the form of utc_write (no NUL) and returns its length. */
size_t utc_format(char out[UTC_TEXT_MAX], utc_t at);

#endif
