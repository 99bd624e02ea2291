/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: which source wins, and what stops the start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

struct settings {
    int32_t port;
    int64_t body_bytes;
    bool secure_cookies;
    str_t database_url;
    str_t name;
};

static const struct setting settings_list[] = {
    {FIELD(struct settings, port, 1, 65535, 0), "8080", "where to listen"},
    {FIELD(struct settings, body_bytes, 0, 0, 0), "1048576", "largest body"},
    {FIELD(struct settings, secure_cookies, 0, 0, 0), "true", "cookies over TLS only"},
    {FIELD(struct settings, database_url, 1, 20, FIELD_REQUIRED), NULL, "the database"},
    {FIELD(struct settings, name, 0, 10, 0), NULL, "name"},
};
static const struct setting_table table = {settings_list, 5, "SUANHE_T_"};

static struct arena *arena;
static struct settings settings;
static const char *rest[2];
static int rest_count;
static const char *message;
static char path[64];

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    settings = (struct settings){0};
    rest_count = -1;
    message = NULL;
    unsetenv("SUANHE_T_PORT");
    unsetenv("SUANHE_T_DATABASE_URL");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    if (path[0] != '\0')
        unlink(path);
    path[0] = '\0';
    return 0;
}

static void given_file(const char *text)
{
    snprintf(path, sizeof path, "/tmp/test_base_config_XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static bool read_with(const char *file, int argc, const char *const *words)
{
    char *argv[8];
    for (int i = 0; i < argc; i++)
        argv[i] = arena_copy(arena, words[i], strlen(words[i]));
    struct config_source source = {
        .table = &table, .file = file, .argc = argc, .argv = argv, .rest = rest, .rest_max = 2};
    bool good = config_read(arena, &source, &settings, &message);
    rest_count = source.rest_count;
    return good;
}

static void assert_stops(const char *file, int argc, const char *const *words, const char *word)
{
    assert_false(read_with(file, argc, words));
    if (message == NULL || strstr(message, word) == NULL)
        fail_msg("'%s' does not say '%s'", message, word);
}

static void later_sources_win(void **state)
{
    (void)state;
    given_file(
        "# comment\n\n port = 1 \nname=a = b # c\r\ndatabase_url = file\nsecure_cookies = false\n"
        "body_bytes=-5");
    assert_true(read_with(path, 0, NULL));
    assert_int_equal(settings.port, 1);
    assert_true(str_is(settings.name, "a = b # c"));
    assert_true(str_is(settings.database_url, "file"));
    assert_false(settings.secure_cookies);
    assert_int_equal(settings.body_bytes, -5);
    setenv("SUANHE_T_PORT", "2", 1);
    setenv("SUANHE_T_DATABASE_URL", "env", 1);
    setenv("SUANHE_T_UNHEARD_OF", "x", 1);
    assert_true(read_with(path, 0, NULL));
    assert_int_equal(settings.port, 2);
    assert_true(str_is(settings.database_url, "env"));
    const char *const words[] = {"first", "--port", "3", "second"};
    assert_true(read_with(path, 4, words));
    assert_int_equal(settings.port, 3);
    assert_true(str_is(settings.database_url, "env"));
    assert_int_equal(rest_count, 2);
    assert_string_equal(rest[0], "first");
    assert_string_equal(rest[1], "second");
    unsetenv("SUANHE_T_UNHEARD_OF");
}

static void defaults_fill_what_is_not_set(void **state)
{
    (void)state;
    assert_true(read_with(NULL, 2, (const char *const[]){"--database-url", "x"}));
    assert_int_equal(settings.port, 8080);
    assert_int_equal(settings.body_bytes, 1048576);
    assert_true(settings.secure_cookies);
    assert_true(str_is(settings.database_url, "x"));
    assert_int_equal(settings.name.len, 0);
    assert_int_equal(rest_count, 0);
}

static void bad_settings_stop_the_start(void **state)
{
    (void)state;
    assert_stops(NULL, 0, NULL, "database_url must be set");
    assert_stops(NULL, 2, (const char *const[]){"--prt", "1"}, "unknown setting --prt");
    assert_stops(NULL, 1, (const char *const[]){"--port"}, "needs a value");
    assert_stops(NULL, 2, (const char *const[]){"--port", "0"}, "from 1 to 65535");
    assert_stops(NULL, 2, (const char *const[]){"--port", "65536"}, "from 1 to 65535");
    assert_stops(NULL, 2, (const char *const[]){"--port", "80x"}, "must be an integer");
    assert_stops(NULL, 2, (const char *const[]){"--secure_cookies", "yes"}, "true or false");
    assert_stops(NULL, 2, (const char *const[]){"--name", "12345678901"}, "too_long");
    assert_stops(NULL, 2, (const char *const[]){"--name", "a\x01"}, "control_character");
    assert_stops(NULL, 2, (const char *const[]){"--name", "\xff"}, "bad_format");
    assert_stops(NULL, 2, (const char *const[]){"--database_url", ""}, "too_short");
    assert_stops(NULL, 3, (const char *const[]){"a", "b", "c"}, "unexpected argument c");
    assert_stops("/nonexistent/file", 0, NULL, "/nonexistent/file");
    setenv("SUANHE_T_PORT", "none", 1);
    assert_stops(NULL, 0, NULL, "SUANHE_T_PORT");
}

static void a_bad_line_is_named_by_its_number(void **state)
{
    (void)state;
    given_file("port = 5\n\nprt = 6\n");
    assert_stops(path, 0, NULL, ":3: unknown setting prt");
    unlink(path);
    given_file("port = 5\njust words\n");
    assert_stops(path, 0, NULL, ":2: expected key = value");
    unlink(path);
    given_file("port =\n");
    assert_stops(path, 0, NULL, ":1: port must be");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(later_sources_win),
        CASE(defaults_fill_what_is_not_set),
        CASE(bad_settings_stop_the_start),
        CASE(a_bad_line_is_named_by_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
