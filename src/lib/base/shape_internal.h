/* SPDX-License-Identifier: Apache-2.0 */
/* For shape.c and config.c: the rules for one value. */
#ifndef SUANHE_BASE_SHAPE_INTERNAL_H
#define SUANHE_BASE_SHAPE_INTERNAL_H

#include "shape.h"

/* min = max = 0 sets no bounds: a field that could only hold 0 would be of no use. */
static inline bool is_bounded(const struct field *field)
{
    return field->min != 0 || field->max != 0;
}

/* NULL, or the code of the rule that text breaks: too_short, too_long, control_character,
 * bad_format. */
const char *text_fault(const struct field *field, str_t text);

#endif
