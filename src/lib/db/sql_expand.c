/* SPDX-License-Identifier: Apache-2.0 */
/* What is written once for both engines and read differently by each: {for_update} and IN ({ids})
 * in statements, the type words KEY, INT, TEXT and BYTES in migrations. Type words are upper-case
 * words outside strings, quoted names, comments and dollar quotes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_internal.h"

static FILE *text_open(char **out_text, size_t *out_len)
{
    FILE *out = open_memstream(out_text, out_len);
    ENSURE(out != NULL);
    return out;
}

/* The number of the nth list argument; one list may serve several places. */
static int list_argument(const char *signature, int nth)
{
    int found = 0;
    for (int i = 0; signature[i] != '\0'; i++) {
        if (signature[i] != 'a' && signature[i] != 'o')
            continue;
        found = i + 1;
        if (nth-- == 0)
            break;
    }
    ENSURE(found > 0);
    return found;
}

char *db_sql_expand(const char *sql, enum db_kind kind, const char *signature)
{
    static const char for_update[] = "{for_update}", in[] = "IN ({ids})",
                      not_in[] = "NOT IN ({ids})";
    char *text = NULL;
    size_t len = 0;
    FILE *out = text_open(&text, &len);
    int lists = 0;
    while (*sql != '\0') {
        if (strncmp(sql, for_update, sizeof for_update - 1) == 0) {
            fputs(kind == DB_POSTGRES ? "FOR UPDATE" : "", out);
            sql += sizeof for_update - 1;
        } else if (kind == DB_POSTGRES && strncmp(sql, not_in, sizeof not_in - 1) == 0) {
            fprintf(out, "<> ALL($%d)", list_argument(signature, lists++));
            sql += sizeof not_in - 1;
        } else if (strncmp(sql, in, sizeof in - 1) == 0) {
            int number = list_argument(signature, lists++);
            if (kind == DB_POSTGRES)
                fprintf(out, "= ANY($%d)", number);
            else if (signature[number - 1] == 'o') /* a list of one needs no list */
                fprintf(out, "IN ($%d)", number);
            else
                fprintf(out, "IN (SELECT value FROM json_each($%d))", number);
            sql += sizeof in - 1;
        } else {
            fputc(*sql++, out);
        }
    }
    ENSURE(fclose(out) == 0 && text != NULL);
    return text;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_word(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t length_up_to(const char *text, size_t from, const char *end)
{
    const char *found = strstr(text + from, end);
    return found == NULL ? strlen(text) : (size_t)(found - text) + strlen(end);
}

/* Length of the comment at text; 0: none. */
static size_t comment_length(const char *text)
{
    if (strncmp(text, "--", 2) == 0)
        return length_up_to(text, 2, "\n");
    if (strncmp(text, "/*", 2) == 0)
        return length_up_to(text, 2, "*/");
    return 0;
}

/* Length of the string, quoted name or dollar quote at text; 0: none. */
static size_t quoted_length(const char *text)
{
    if (*text == '\'')
        return length_up_to(text, 1, "'");
    if (*text == '"')
        return length_up_to(text, 1, "\"");
    if (*text != '$' || (text[1] != '$' && !is_letter(text[1])))
        return 0;
    size_t tag = 1;
    while (is_word(text[tag]))
        tag++;
    if (text[tag] != '$' || tag > 60)
        return 0;
    char end[64] = {0};
    memcpy(end, text, tag + 1);
    return length_up_to(text, tag + 1, end);
}

/* The word before, in the same run of words (nothing but blanks and comments between). */
struct before {
    const char *word;
    size_t len;
};

static bool is_same(const char *word, size_t len, const char *other)
{
    return strlen(other) == len && memcmp(word, other, len) == 0;
}

/* KEY is a type directly after a column's name; PRIMARY KEY, FOREIGN KEY, FOR KEY SHARE and FOR NO
 * KEY UPDATE are not. */
static bool is_type_key(const struct before *before)
{
    static const char *const other[] = {"PRIMARY", "FOREIGN", "FOR", "NO"};
    if (before->len == 0)
        return false;
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (is_same(before->word, before->len, other[i]))
            return false;
    return true;
}

static const char *type_of(const char *word, size_t len, const struct before *before,
                           enum db_kind kind)
{
    bool pg = kind == DB_POSTGRES;
    if (is_same(word, len, "INT"))
        return pg ? "BIGINT" : "INTEGER";
    if (is_same(word, len, "BYTES"))
        return pg ? "BYTEA" : "BLOB";
    if (is_same(word, len, "KEY") && is_type_key(before))
        return pg ? "BIGINT PRIMARY KEY" : "INTEGER PRIMARY KEY";
    return NULL;
}

/* Length of the word at text, written as the engine wants it. */
static size_t put_word(FILE *out, const char *text, struct before *before, enum db_kind kind)
{
    size_t len = 0;
    while (is_word(text[len]))
        len++;
    const char *type = is_letter(*text) ? type_of(text, len, before, kind) : NULL;
    if (type != NULL)
        fputs(type, out);
    else
        fwrite(text, 1, len, out);
    *before = (struct before){text, len};
    return len;
}

char *db_sql_expand_types(const char *sql, enum db_kind kind)
{
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = text_open(&text, &text_len);
    struct before before = {0};
    while (*sql != '\0') {
        if (is_word(*sql)) {
            sql += put_word(out, sql, &before, kind);
            continue;
        }
        size_t len = comment_length(sql);
        if (len == 0 && !is_blank(*sql))
            before = (struct before){0};
        if (len == 0)
            len = quoted_length(sql);
        if (len == 0)
            len = 1;
        fwrite(sql, 1, len, out);
        sql += len;
    }
    ENSURE(fclose(out) == 0 && text != NULL);
    return text;
}
