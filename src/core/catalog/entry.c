/* SPDX-License-Identifier: Apache-2.0 */
/* Typed codes of a product: what the index in memory loads without parsing a document. Fixed
 * big-endian layout. */
#include "catalog_internal.h"

enum { ENTRY_FORM = 1, ENTRY_BYTES = 4 + 6 * 2 + 4 + 7 * 8 };

void entry_pack(const struct catalog_entry *entry, struct buf *out)
{
    buf_putc(out, ENTRY_FORM);
    buf_putc(out, (char)entry->charge_mask);
    buf_putc(out, (char)entry->price_unit);
    buf_putc(out, (char)entry->charge_mode);
    buf_put_u16(out, (uint16_t)entry->category);
    buf_put_u16(out, (uint16_t)entry->region);
    buf_put_u16(out, (uint16_t)entry->accelerator);
    buf_put_u16(out, (uint16_t)entry->source);
    buf_put_u16(out, (uint16_t)entry->lead_h);
    buf_put_u16(out, (uint16_t)entry->sla_bp);
    buf_put_u32(out, (uint32_t)entry->listed);
    buf_put_u64(out, (uint64_t)entry->store_id.value);
    buf_put_u64(out, (uint64_t)entry->specs_id.value);
    buf_put_u64(out, (uint64_t)entry->vcpus_milli);
    buf_put_u64(out, (uint64_t)entry->memory_mib);
    buf_put_u64(out, (uint64_t)entry->accelerator_count);
    buf_put_u64(out, (uint64_t)entry->price_hour.e10);
    buf_put_u64(out, (uint64_t)entry->price_from.e10);
}

static uint64_t get(const char **at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | (uint8_t) * (*at)++;
    return value;
}

bool entry_unpack(str_t codes, struct catalog_entry *out)
{
    const char *at = codes.data;
    if (codes.len != ENTRY_BYTES || get(&at, 1) != ENTRY_FORM)
        return false;
    out->charge_mask = (int32_t)get(&at, 1);
    out->price_unit = (int32_t)get(&at, 1);
    out->charge_mode = (int32_t)get(&at, 1);
    out->category = (int32_t)get(&at, 2);
    out->region = (int32_t)get(&at, 2);
    out->accelerator = (int32_t)get(&at, 2);
    out->source = (int32_t)get(&at, 2);
    out->lead_h = (int32_t)get(&at, 2);
    out->sla_bp = (int32_t)get(&at, 2);
    out->listed = (int32_t)get(&at, 4);
    out->store_id.value = (int64_t)get(&at, 8);
    out->specs_id.value = (int64_t)get(&at, 8);
    out->vcpus_milli = (int64_t)get(&at, 8);
    out->memory_mib = (int64_t)get(&at, 8);
    out->accelerator_count = (int64_t)get(&at, 8);
    out->price_hour.e10 = (int64_t)get(&at, 8);
    out->price_from.e10 = (int64_t)get(&at, 8);
    return true;
}

/* The cheapest by the hour stands for the product; what has no hourly price only when nothing else
 * is there. */
void entry_add_sku(struct catalog_entry *entry, int charge_mode, price_t price, int price_unit,
                   str_t term, int lead_h)
{
    price_t hour = catalog_price_hour(price, price_unit, term);
    bool first = entry->charge_mask == 0;
    bool cheaper = hour.e10 > 0 && (entry->price_hour.e10 == 0 || hour.e10 < entry->price_hour.e10);
    entry->charge_mask |= 1 << charge_mode;
    if (first || lead_h < entry->lead_h)
        entry->lead_h = lead_h;
    if (!first && !cheaper)
        return;
    entry->price_hour = hour;
    entry->price_from = price;
    entry->price_unit = price_unit;
    entry->charge_mode = charge_mode;
}

err_t entry_add_specs(struct ctx *ctx, struct catalog_entry *entry, const struct spec *specs,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t e6 = 0;
        (void)spec_decimal(specs[i].value, &e6);
        if (str_is(specs[i].code, "vcpus"))
            entry->vcpus_milli = e6 / 1000;
        else if (str_is(specs[i].code, "memory"))
            entry->memory_mib = e6 * 1024 / 1000000;
        else if (str_is(specs[i].code, "accelerator_count"))
            entry->accelerator_count = e6 / 1000000;
        else if (str_is(specs[i].code, "accelerator_model"))
            TRY(catalog_code_number(ctx, CODE_ACCELERATOR, specs[i].value, &entry->accelerator));
    }
    return OK;
}

err_t entry_store(struct ctx *ctx, const struct catalog_entry *entry)
{
    struct buf codes;
    buf_init(&codes, ctx->arena, 256);
    entry_pack(entry, &codes);
    return db_exec(
        ctx,
        "INSERT INTO catalog_entry (product_id, codes, name, source_type)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT (product_id) DO UPDATE SET"
        " codes = excluded.codes, name = excluded.name,"
        " source_type = excluded.source_type",
        ARGS(A(entry->product_id), A_BYTES(buf_str(&codes)), A(entry->name), A(entry->source_type)),
        NULL);
}
