/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON. What is written is always valid UTF-8: a text that is not gets U+FFFD for each bad
 * byte. */
#include "json.h"

void jw_init(struct jw *w, struct buf *buf)
{
    *w = (struct jw){buf, false};
}

static void begin_value(struct jw *w)
{
    if (w->comma)
        buf_putc(w->buf, ',');
    w->comma = true;
}

static void open(struct jw *w, char bracket)
{
    begin_value(w);
    buf_putc(w->buf, bracket);
    w->comma = false;
}

static void close(struct jw *w, char bracket)
{
    buf_putc(w->buf, bracket);
    w->comma = true;
}

void jw_object(struct jw *w)
{
    open(w, '{');
}

void jw_array(struct jw *w)
{
    open(w, '[');
}

void jw_end_object(struct jw *w)
{
    close(w, '}');
}

void jw_end_array(struct jw *w)
{
    close(w, ']');
}

void jw_key(struct jw *w, const char *key)
{
    jw_text(w, str_of(key));
    buf_putc(w->buf, ':');
    w->comma = false;
}

static void put_escape(struct buf *buf, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof short_forms; i += 2) {
        if ((unsigned char)short_forms[i] == c) {
            buf_put(buf, (str_t){(char[]){'\\', short_forms[i + 1]}, 2});
            return;
        }
    }
    buf_put(buf, (str_t){(char[]){'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]}, 6});
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* Copies text, whole runs at a time. */
static void put_escaped(struct buf *buf, str_t text)
{
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (!needs_escape(c))
            continue;
        buf_put(buf, (str_t){text.data + start, i - start});
        put_escape(buf, c);
        start = i + 1;
    }
    buf_put(buf, str_cut(text, start));
}

/* Length of the valid UTF-8 sequence at the front of text, 0 when there is none. */
static size_t valid_front(str_t text)
{
    for (size_t len = 1; len <= 4 && len <= text.len; len++) {
        if (str_is_utf8((str_t){text.data, len}))
            return len;
    }
    return 0;
}

static void put_repaired(struct buf *buf, str_t text)
{
    while (text.len > 0) {
        size_t len = valid_front(text);
        if (len == 0)
            buf_puts(buf, "\xEF\xBF\xBD");
        else
            put_escaped(buf, (str_t){text.data, len});
        text = str_cut(text, len == 0 ? 1 : len);
    }
}

void jw_text(struct jw *w, str_t text)
{
    begin_value(w);
    buf_putc(w->buf, '"');
    if (str_is_utf8(text))
        put_escaped(w->buf, text);
    else
        put_repaired(w->buf, text);
    buf_putc(w->buf, '"');
}

void jw_int(struct jw *w, int64_t value)
{
    begin_value(w);
    buf_put_int(w->buf, value);
}

void jw_bool(struct jw *w, bool value)
{
    begin_value(w);
    buf_puts(w->buf, value ? "true" : "false");
}

void jw_null(struct jw *w)
{
    begin_value(w);
    buf_puts(w->buf, "null");
}

void jw_raw(struct jw *w, str_t json)
{
    begin_value(w);
    buf_put(w->buf, json.len == 0 ? STR("null") : json);
}

void jw_utc(struct jw *w, utc_t at)
{
    if (at.ms == 0) {
        jw_null(w);
        return;
    }
    begin_value(w);
    buf_putc(w->buf, '"');
    utc_write(w->buf, at);
    buf_putc(w->buf, '"');
}

void jw_ref(struct jw *w, const char *prefix, ref_t id)
{
    if (ref_is(id, REF_NONE)) {
        jw_null(w);
        return;
    }
    begin_value(w);
    buf_putc(w->buf, '"');
    ref_write(w->buf, prefix, id);
    buf_putc(w->buf, '"');
}

void jw_price(struct jw *w, price_t price)
{
    begin_value(w);
    buf_putc(w->buf, '"');
    price_write(w->buf, price);
    buf_putc(w->buf, '"');
}

void jw_rate(struct jw *w, rate_t rate)
{
    begin_value(w);
    buf_putc(w->buf, '"');
    rate_write(w->buf, rate);
    buf_putc(w->buf, '"');
}

void jw_put_text(struct jw *w, const char *key, str_t text)
{
    jw_key(w, key);
    jw_text(w, text);
}

void jw_put_int(struct jw *w, const char *key, int64_t value)
{
    jw_key(w, key);
    jw_int(w, value);
}

void jw_put_bool(struct jw *w, const char *key, bool value)
{
    jw_key(w, key);
    jw_bool(w, value);
}

void jw_put_utc(struct jw *w, const char *key, utc_t at)
{
    jw_key(w, key);
    jw_utc(w, at);
}

void jw_put_ref(struct jw *w, const char *key, const char *prefix, ref_t id)
{
    jw_key(w, key);
    jw_ref(w, prefix, id);
}

void jw_put_text_or_null(struct jw *w, const char *key, str_t text)
{
    jw_key(w, key);
    if (text.len)
        jw_text(w, text);
    else
        jw_null(w);
}
