/* SPDX-License-Identifier: Apache-2.0 */
/* Norms: per category, what a product must and may say about itself. Versioned documents in the
 * database, installed from those embedded at build; a product is checked against the document it
 * names. */
#include "catalog_internal.h"
#include "crypto/crypto.h"

struct norm_row {
    str_t category, document;
    int64_t version;
};
static const struct field norm_fields[] = {
    FIELD(struct norm_row, category, 1, 60, 0),
    FIELD_JSON(struct norm_row, document, 65536, 0),
    FIELD(struct norm_row, version, 1, INT64_MAX, 0),
};
static const struct shape norm_shape = SHAPE(struct norm_row, norm_fields);

static const char *const class_name[] = {NULL, "iaas", "paas", "saas"};
const struct names product_class_names = NAMES(class_name);

static const struct field code_fields[] = {
    FIELD(struct catalog_code, kind, 1, 4, 0),      FIELD(struct catalog_code, number, 1, 65535, 0),
    FIELD(struct catalog_code, class, 0, 3, 0),     FIELD(struct catalog_code, code, 1, 200, 0),
    FIELD(struct catalog_code, name_zh, 0, 200, 0), FIELD(struct catalog_code, name_en, 0, 200, 0),
};
static const struct shape code_shape = SHAPE(struct catalog_code, code_fields);

err_t catalog_codes(struct ctx *ctx, int kind, struct catalog_code **out, size_t *out_count)
{
    return db_all(ctx,
                  "SELECT kind, number, class, code, name_zh, name_en FROM catalog_code"
                  " WHERE kind = $1 ORDER BY number LIMIT 65535",
                  ARGS(A((int32_t)kind)), &code_shape, out, out_count);
}

static err_t find_code(struct ctx *ctx, int kind, str_t code, int32_t *out, bool *out_found)
{
    int64_t number = 0;
    TRY(db_int(ctx, "SELECT number FROM catalog_code WHERE kind = $1 AND code = $2",
               ARGS(A((int32_t)kind), A(code)), &number));
    *out_found = number != 0;
    if (number)
        *out = (int32_t)number;
    return OK;
}

err_t catalog_code_add(struct ctx *ctx, const struct catalog_code *code, int32_t *out)
{
    bool found;
    TRY(find_code(ctx, code->kind, code->code, out, &found));
    if (found)
        return OK;
    int64_t last = 0;
    TRY(db_int(ctx, "SELECT MAX(number) FROM catalog_code WHERE kind = $1", ARGS(A(code->kind)),
               &last));
    TRY(db_exec(ctx,
                "INSERT INTO catalog_code (kind, number, class, code, name_zh, name_en)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                ARGS(A(code->kind), A(last + 1), A(code->class), A(code->code), A(code->name_zh),
                     A(code->name_en)),
                NULL));
    *out = (int32_t)(last + 1);
    return OK;
}

err_t catalog_code_number(struct ctx *ctx, int kind, str_t code, int32_t *out)
{
    if (code.len == 0) {
        *out = 0;
        return OK;
    }
    struct catalog_code row = {.kind = kind, .code = code, .name_zh = code, .name_en = code};
    return catalog_code_add(ctx, &row, out);
}

static err_t install_one(struct ctx *ctx, str_t document)
{
    const struct json *norm;
    TRY(json_parse(ctx, document, &norm));
    str_t category = json_get_text(norm, "category");
    int class = 0;
    if (!names_find(&product_class_names, json_get_text(norm, "class"), &class))
        return refuse(ctx, ERR_INTERNAL, "norm_damaged", STR_FMT " has no class",
                      STR_ARG(category));
    struct catalog_code code = {.kind = CODE_CATEGORY,
                                .class = class,
                                .code = category,
                                .name_zh = json_get_text(norm, "name_zh"),
                                .name_en = json_get_text(norm, "name_en")};
    int32_t number;
    TRY(catalog_code_add(ctx, &code, &number));
    return db_exec(ctx,
                   "INSERT INTO catalog_norm (category, version, document, created_at)"
                   " VALUES ($1, $2, $3, $4) ON CONFLICT (category, version) DO NOTHING",
                   ARGS(A(category), A(json_get_int(norm, "version", 1)),
                        A(json_print(ctx->arena, norm, false)), A(ctx->now)),
                   NULL);
}

/* The hub regions of the national network; GB/T 2260 codes where a hub has one. */
static const char *const regions[][3] = {
    {"130700", "张家口", "Zhangjiakou"}, {"CN-YRD", "长三角示范区", "Yangtze Delta Zone"},
    {"340200", "芜湖", "Wuhu"},          {"440200", "韶关", "Shaoguan"},
    {"CN-TIANFU", "天府", "Tianfu"},     {"500000", "重庆", "Chongqing"},
    {"CN-GUIAN", "贵安", "Gui'an"},      {"150123", "和林格尔", "Horinger"},
    {"621000", "庆阳", "Qingyang"},      {"640500", "中卫", "Zhongwei"},
};

err_t catalog_install(struct ctx *ctx)
{
    for (int i = 0; i < catalog_norm_count; i++)
        TRY(install_one(ctx, str_of(catalog_norms[i].document)));
    for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
        struct catalog_code code = {.kind = CODE_REGION,
                                    .code = str_of(regions[i][0]),
                                    .name_zh = str_of(regions[i][1]),
                                    .name_en = str_of(regions[i][2])};
        int32_t number;
        TRY(catalog_code_add(ctx, &code, &number));
    }
    return OK;
}

err_t catalog_norm(struct ctx *ctx, str_t category, int64_t version, str_t *out_document)
{
    struct norm_row row = {0};
    bool found;
    TRY(db_find(ctx,
                "SELECT category, version, document FROM catalog_norm WHERE category = $1"
                " AND (version = $2 OR CAST($2 AS BIGINT) = 0) ORDER BY version DESC LIMIT 1",
                ARGS(A(category), A(version)), &norm_shape, &row, &found));
    if (!found)
        return refuse(ctx, ERR_NOT_FOUND, "not_found", "no norm " STR_FMT " version %" PRId64,
                      STR_ARG(category), version);
    *out_document = row.document;
    return OK;
}

/* ---- checking ---- */
bool spec_decimal(str_t text, int64_t *out_e6)
{
    price_t price;
    if (!price_read(text, &price) || price.e10 % 10000 != 0)
        return false;
    *out_e6 = price.e10 / 10000;
    return true;
}

static bool is_listed(const struct json *values, str_t value)
{
    for (size_t i = 0; i < json_count(values); i++)
        if (str_eq(json_text(json_at(values, i)), value))
            return true;
    return false;
}

static const char *value_problem(const struct json *field, str_t value, bool *out_code_range)
{
    str_t type = json_get_text(field, "type");
    *out_code_range = false;
    if (str_is(type, "enum"))
        return is_listed(json_get(field, "values"), value) ? NULL : "not_in_list";
    if (str_is(type, "bool"))
        return str_is(value, "true") || str_is(value, "false") ? NULL : "wrong_type";
    if (str_is(type, "text"))
        return str_utf8_count(value) <= (size_t)json_get_int(field, "max_length", 60) ? NULL
                                                                                      : "too_long";
    int64_t number, bound;
    if (!spec_decimal(value, &number) || (str_is(type, "integer") && number % 1000000 != 0))
        return "wrong_type";
    *out_code_range = true;
    if (spec_decimal(json_get_text(field, "min"), &bound) && number < bound)
        return "out_of_range";
    if (spec_decimal(json_get_text(field, "max"), &bound) && number > bound)
        return "out_of_range";
    return NULL;
}

static void check_one(struct ctx *ctx, const struct json *fields, const struct spec *specs,
                      size_t index)
{
    const struct spec *spec = &specs[index];
    const struct json *field = NULL;
    for (size_t i = 0; i < json_count(fields) && !field; i++)
        if (str_eq(json_get_text(json_at(fields, i), "code"), spec->code))
            field = json_at(fields, i);
    if (!field) {
        (void)refuse_field(ctx, str_printf(ctx->arena, "/specs/%zu/code", index), "unknown_spec",
                           "the norm knows no " STR_FMT, STR_ARG(spec->code));
        return;
    }
    for (size_t i = 0; i < index; i++)
        if (str_eq(specs[i].code, spec->code))
            (void)refuse_field(ctx, str_printf(ctx->arena, "/specs/%zu/code", index),
                               "duplicate_spec", STR_FMT " stands twice", STR_ARG(spec->code));
    str_t unit = json_get_text(field, "unit");
    if (!str_eq(unit, spec->unit))
        (void)refuse_field(ctx, str_printf(ctx->arena, "/specs/%zu/unit", index), "wrong_unit",
                           "expected \"" STR_FMT "\"", STR_ARG(unit));
    bool range;
    const char *problem = value_problem(field, spec->value, &range);
    if (problem && range)
        (void)refuse_field(ctx, str_printf(ctx->arena, "/specs/%zu/value", index), problem,
                           "within " STR_FMT " and " STR_FMT, STR_ARG(json_get_text(field, "min")),
                           STR_ARG(json_get_text(field, "max")));
    else if (problem)
        (void)refuse_field(ctx, str_printf(ctx->arena, "/specs/%zu/value", index), problem,
                           "not a value of " STR_FMT, STR_ARG(spec->code));
}

err_t catalog_check_specs(struct ctx *ctx, str_t category, int64_t norm_version,
                          const struct spec *specs, size_t count)
{
    str_t document;
    err_t err = catalog_norm(ctx, category, norm_version, &document);
    if (err == ERR_NOT_FOUND) {
        problem_clear(ctx);
        (void)refuse_field(ctx, STR("/category_code"), "not_in_list",
                           "no norm of this name and version");
        ctx->problem.reason = "unknown_category";
        return ERR_INPUT;
    }
    TRY(err);
    const struct json *norm;
    TRY(json_parse(ctx, document, &norm));
    const struct json *fields = json_get(norm, "fields");
    int before = ctx->problem.error_count;
    for (size_t i = 0; i < count; i++)
        check_one(ctx, fields, specs, i);
    for (size_t i = 0; i < json_count(fields); i++) {
        const struct json *field = json_at(fields, i);
        bool there = !json_bool(json_get(field, "required"));
        for (size_t k = 0; k < count && !there; k++)
            there = str_eq(specs[k].code, json_get_text(field, "code"));
        if (!there)
            (void)refuse_field(ctx, STR("/specs"), "missing_spec", STR_FMT " is required",
                               STR_ARG(json_get_text(field, "code")));
    }
    if (ctx->problem.error_count == before)
        return OK;
    ctx->problem.reason = "norm_violation";
    return ERR_INPUT;
}

/* ---- lists of specifications, each kept once ---- */
str_t catalog_specs_json(struct ctx *ctx, const struct spec *specs, size_t count)
{
    struct buf text;
    struct jw w;
    buf_init(&text, ctx->arena, 65536);
    jw_init(&w, &text);
    jw_array(&w);
    for (size_t i = 0; i < count; i++) {
        jw_object(&w);
        jw_put_text(&w, "code", specs[i].code);
        jw_put_text(&w, "value", specs[i].value);
        if (specs[i].unit.len)
            jw_put_text(&w, "unit", specs[i].unit);
        jw_end_object(&w);
    }
    jw_end_array(&w);
    return buf_str(&text);
}

err_t catalog_specs_id(struct ctx *ctx, str_t specs, ref_t *out)
{
    uint8_t digest[SM3_BYTES];
    sm3(specs, digest);
    int64_t id = 0;
    TRY(db_int(ctx, "SELECT id FROM catalog_specs WHERE digest = $1",
               ARGS(A_BYTES(str_from(digest, sizeof(digest)))), &id));
    if (id == 0) {
        id = id_make(ctx->platform->ids, ctx->now).value;
        TRY(db_exec(ctx, "INSERT INTO catalog_specs (id, digest, specs) VALUES ($1, $2, $3)",
                    ARGS(A(id), A_BYTES(str_from(digest, sizeof(digest))), A(specs)), NULL));
    }
    *out = (ref_t){id};
    return OK;
}
