/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, migrations and copies. */
#include "db_support.h"

/* ---- opening and migrations ---- */

static void an_address_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *const url[] = {"", "sqlite:", "mysql://x", "sqlite:/nowhere/at/all.db",
                               "postgresql:///nothing?host=/nowhere"};
    for (size_t i = 0; i < sizeof url / sizeof url[0]; i++) {
        struct db_options options = {.url = str_of(url[i]), .sql_dir = f->sql};
        struct db *db = NULL;
        err_t err = db_open(&f->ctx, &options, &db);
        assert_true(err != OK && db == NULL);
        assert_string_equal(f->ctx.problem.reason, "db_open_failed");
        problem_clear(&f->ctx);
    }
}

static void a_damaged_file_is_told(void **state)
{
    struct fixture *f = *state;
    if (f->engine != FILE_DB)
        return;
    db_close(f->db);
    f->db = NULL;
    int fd = open(f->url + strlen("sqlite:"), O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, "this is no database at all, is it", 33, 0) == 33);
    close(fd);
    struct db_options options = options_of(f);
    assert_refused(&f->ctx, db_open(&f->ctx, &options, &f->db), ERR_INTERNAL, "db_damaged");
    assert_null(f->db);
}

static void a_cut_file_is_told(void **state)
{
    struct fixture *f = *state;
    if (f->engine != FILE_DB)
        return;
    db_close(f->db);
    f->db = NULL;
    assert_int_equal(truncate(f->url + strlen("sqlite:"), 4096 + 100), 0);
    struct db_options options = options_of(f);
    assert_refused(&f->ctx, db_open(&f->ctx, &options, &f->db), ERR_INTERNAL, "db_damaged");
}

static void the_file_is_its_owners_alone(void **state)
{
    struct fixture *f = *state;
    if (f->engine != FILE_DB)
        return;
    struct stat about;
    assert_int_equal(stat(f->url + strlen("sqlite:"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
}

/* Opens the same database with the folder as it is now. */
static err_t open_again(struct fixture *f)
{
    db_close(f->db);
    f->db = NULL;
    struct db_options options = options_of(f);
    return db_open(&f->ctx, &options, &f->db);
}

static err_t count_words_of_engine(struct ctx *ctx, void *arg)
{
    const char *engine = db_kind(ctx->tx->db) == DB_SQLITE ? "sqlite" : "pg";
    return db_int(ctx, "SELECT count(*) FROM word WHERE engine = $1", ARGS(A(engine)), arg);
}

static void migrations_are_applied_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    int applied = -1;
    given_file(f, "0003_b.sql", "INSERT INTO word (id) VALUES (2);");
    given_file(f, "0002_a.sqlite.sql", "CREATE TABLE word (id INT, engine TEXT DEFAULT 'sqlite');");
    given_file(f, "0002_a.pg.sql", "CREATE TABLE word (id INT, engine TEXT DEFAULT 'pg');");
    ASSERT_OK(&f->ctx, db_migrate(&f->ctx, f->db, &applied));
    assert_int_equal(applied, 2);
    ASSERT_OK(&f->ctx, db_migrate(&f->ctx, f->db, &applied));
    assert_int_equal(applied, 0);
    ASSERT_OK(&f->ctx, db_check_schema(&f->ctx, f->db));
    int64_t words = 0;
    ASSERT_OK(&f->ctx, db_read(&f->ctx, f->db, count_words_of_engine, &words));
    assert_true(words == 1);
    given_file(f, "0004_c.sql", "CREATE TABLE last (id KEY)");
    assert_refused(&f->ctx, db_check_schema(&f->ctx, f->db), ERR_STATE, "migration_missing");
    ASSERT_OK(&f->ctx, db_migrate(&f->ctx, f->db, &applied));
    assert_int_equal(applied, 1);
}

static void a_failing_migration_leaves_the_schema_as_it_was(void **state)
{
    struct fixture *f = *state;
    given_file(f, "0002_good.sql", "CREATE TABLE good (id KEY);");
    given_file(f, "0003_bad.sql",
               "CREATE TABLE bad (id KEY); INSERT INTO bad VALUES (1); CREATE nonsense;");
    assert_refused(&f->ctx, db_migrate(&f->ctx, f->db, NULL), ERR_INTERNAL, "migration_failed");
    assert_refused(&f->ctx, db_check_schema(&f->ctx, f->db), ERR_STATE, "migration_missing");
    given_file(f, "0003_bad.sql", "CREATE TABLE bad (id KEY);");
    int applied = 0;
    ASSERT_OK(&f->ctx, db_migrate(&f->ctx, f->db, &applied));
    assert_int_equal(applied, 2);
}

static void an_edited_or_missing_migration_is_refused(void **state)
{
    struct fixture *f = *state;
    given_file(f, "0002_a.sql", "CREATE TABLE a (id KEY);");
    given_file(f, "0003_b.sql", "CREATE TABLE b (id KEY);");
    migrate_db(f);
    given_file(f, "0002_a.sql", "CREATE TABLE a (id KEY, extra INT);");
    assert_refused(&f->ctx, db_migrate(&f->ctx, f->db, NULL), ERR_STATE, "migration_changed");
    assert_refused(&f->ctx, db_check_schema(&f->ctx, f->db), ERR_STATE, "migration_changed");
    char path[TEXT_MAX];
    snprintf(path, sizeof path, "%s/0002_a.sql", f->sql);
    unlink(path);
    assert_refused(&f->ctx, db_migrate(&f->ctx, f->db, NULL), ERR_STATE, "migration_changed");
    given_file(f, "0002_a.sql", "CREATE TABLE a (id KEY);");
    ASSERT_OK(&f->ctx, db_migrate(&f->ctx, f->db, NULL));
    given_file(f, "0002_aa.sql", "CREATE TABLE aa (id KEY);");
    assert_refused(&f->ctx, db_migrate(&f->ctx, f->db, NULL), ERR_STATE, "migration_changed");
}

static void a_database_of_a_newer_program_is_refused_and_its_version_named(void **state)
{
    struct fixture *f = *state;
    if (f->engine == MEMORY_DB)
        return;
    char newer[] = "INSERT INTO db_migration (name, digest, applied_at, version)"
                   " VALUES ('0009_future', CAST('x' AS BLOB), 1, '7.8.9')",
         newer_pg[] = "INSERT INTO db_migration (name, digest, applied_at, version)"
                      " VALUES ('0009_future', CAST('x' AS BYTEA), 1, '7.8.9')";
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, run_sql, f->engine == PG_DB ? newer_pg : newer));
    err_t err = open_again(f);
    assert_non_null(strstr(f->ctx.problem.detail, "7.8.9"));
    assert_refused(&f->ctx, err, ERR_STATE, "db_newer");
    assert_null(f->db);
}

static bool exists(const char *format, const char *path)
{
    char name[TEXT_MAX];
    snprintf(name, sizeof name, "%s%s", path, format);
    return access(name, F_OK) == 0;
}

static void a_database_that_holds_data_is_kept_aside_before_it_changes(void **state)
{
    struct fixture *f = *state;
    if (f->engine != FILE_DB)
        return;
    const char *path = f->url + strlen("sqlite:");
    given_file(f, "0002_a.sql", "CREATE TABLE a (id KEY);");
    migrate_db(f);
    assert_false(exists(".before-0002", path));
    given_item(f, 1, "kept", 5);
    given_file(f, "0003_b.sql", "DROP TABLE part; UPDATE item SET amount = 0;");
    migrate_db(f);
    assert_true(exists(".before-0003", path));
    size_t length = strlen(f->url);
    snprintf(f->url + length, sizeof f->url - length, ".before-0003");
    int64_t amount = 0;
    struct db_options options = options_of(f);
    struct db *copy = NULL;
    ASSERT_OK(&f->ctx, db_open(&f->ctx, &options, &copy));
    ASSERT_OK(&f->ctx, db_read(&f->ctx, copy, read_stock, &amount));
    assert_true(amount == 5);
    db_close(copy);
}

static void tables_may_be_rebuilt_but_references_must_hold(void **state)
{
    struct fixture *f = *state;
    if (f->engine == PG_DB)
        return;
    given_item(f, 1, "a", 1);
    char part[] = "INSERT INTO part (item_id, number) VALUES (1, 1)";
    ASSERT_OK(&f->ctx, db_write(&f->ctx, f->db, run_sql, part));
    given_file(f, "0002_rebuild.sql",
               "CREATE TABLE item_new (id KEY, name TEXT, amount INT);"
               "INSERT INTO item_new SELECT id, name, amount FROM item; DROP TABLE item;"
               "ALTER TABLE item_new RENAME TO item;");
    migrate_db(f);
    given_file(f, "0003_break.sql", "DELETE FROM item;");
    assert_refused(&f->ctx, db_migrate(&f->ctx, f->db, NULL), ERR_INTERNAL, "migration_failed");
    assert_true(items(f) == 1);
    char orphan[] = "INSERT INTO part (item_id, number) VALUES (9, 1)";
    assert_refused(&f->ctx, db_write(&f->ctx, f->db, run_sql, orphan), ERR_INTERNAL,
                   "db_constraint");
}

static err_t check_sum(struct ctx *ctx, void *arg)
{
    return db_int(ctx, "SELECT sum(total) - (SELECT count(*) FROM item) FROM seen", NO_ARGS, arg);
}

static void a_backup_while_writing_is_consistent_and_opens(void **state)
{
    struct fixture *f = *state;
    char path[TEXT_MAX];
    snprintf(path, sizeof path, "%s/copy.db", f->folder);
    if (f->engine == PG_DB) {
        assert_refused(&f->ctx, db_backup(&f->ctx, f->db, path), ERR_STATE, "use_pg_dump");
        return;
    }
    struct witness witness;
    given_witness(f, &witness);
    struct crowd *crowd = given_crowd(MANY);
    send_crowd(f, crowd);
    ASSERT_OK(&f->ctx, db_backup(&f->ctx, f->db, path));
    wait_answered(crowd, MANY);
    end_crowd(crowd);
    assert_false(exists(".partial", path) || exists("-wal", path));
    assert_refused(&f->ctx, db_backup(&f->ctx, f->db, path), ERR_STATE, "backup_exists");
    char url[TEXT_MAX + 8];
    snprintf(url, sizeof url, "sqlite:%s", path);
    struct db_options options = {.url = str_of(url), .sql_dir = f->sql};
    struct db *copy = NULL;
    int64_t difference = 0;
    ASSERT_OK(&f->ctx, db_open(&f->ctx, &options, &copy));
    ASSERT_OK(&f->ctx, db_check_schema(&f->ctx, copy));
    ASSERT_OK(&f->ctx, db_read(&f->ctx, copy, check_sum, &difference));
    assert_true(difference == 0);
    db_close(copy);
}
/* ---- texts of SQL ---- */

static void assert_types(const char *from, const char *sqlite, const char *pg)
{
    char *got = db_sql_expand_types(from, DB_SQLITE);
    assert_string_equal(got, sqlite);
    free(got);
    got = db_sql_expand_types(from, DB_POSTGRES);
    assert_string_equal(got, pg);
    free(got);
}

static void type_words_are_expanded_where_they_are_types(void **state)
{
    (void)state;
    assert_types("id KEY,n INT,b BYTES,t TEXT", "id INTEGER PRIMARY KEY,n INTEGER,b BLOB,t TEXT",
                 "id BIGINT PRIMARY KEY,n BIGINT,b BYTEA,t TEXT");
    assert_types("PRIMARY KEY (a), FOREIGN  KEY (b), PRIMARY /* x */ KEY",
                 "PRIMARY KEY (a), FOREIGN  KEY (b), PRIMARY /* x */ KEY",
                 "PRIMARY KEY (a), FOREIGN  KEY (b), PRIMARY /* x */ KEY");
    assert_types("-- id KEY INT\n/* INT */ 'INT''KEY' \"INT\" $$x INT$$ $f$ INT $f$",
                 "-- id KEY INT\n/* INT */ 'INT''KEY' \"INT\" $$x INT$$ $f$ INT $f$",
                 "-- id KEY INT\n/* INT */ 'INT''KEY' \"INT\" $$x INT$$ $f$ INT $f$");
    assert_types("INTEGER POINT my_INT INT2 KEYS (KEY)", "INTEGER POINT my_INT INT2 KEYS (KEY)",
                 "INTEGER POINT my_INT INT2 KEYS (KEY)");
    assert_types("CAST(x AS INT) 'open INT", "CAST(x AS INTEGER) 'open INT",
                 "CAST(x AS BIGINT) 'open INT");
}

static const struct db_migration *embedded(int i)
{
    return &db_migrations[i];
}

static void the_programs_own_migrations_run(void **state)
{
    struct fixture *f = *state;
    struct db_options options = {.url = str_of(f->url)};
    open_db(f, options);
    for (int i = 1; i < db_migration_count; i++)
        assert_true(strcmp(embedded(i - 1)->name, embedded(i)->name) < 0);
    migrate_db(f);
    ASSERT_OK(&f->ctx, db_check_schema(&f->ctx, f->db));
    db_close(f->db);
    f->db = NULL;
    if (f->engine == MEMORY_DB)
        return;
    options.sql_dir = "sql"; /* the folder tells the same as the program */
    open_db(f, options);
    ASSERT_OK(&f->ctx, db_check_schema(&f->ctx, f->db));
}

int main(void)
{
    struct CMUnitTest tests[] = {
        TEST_EMPTY(an_address_that_is_none_is_refused),
        TEST(a_damaged_file_is_told),
        TEST(a_cut_file_is_told),
        TEST(the_file_is_its_owners_alone),
        TEST(migrations_are_applied_once_and_in_order),
        TEST(a_failing_migration_leaves_the_schema_as_it_was),
        TEST(an_edited_or_missing_migration_is_refused),
        TEST(a_database_of_a_newer_program_is_refused_and_its_version_named),
        TEST(a_database_that_holds_data_is_kept_aside_before_it_changes),
        TEST(tables_may_be_rebuilt_but_references_must_hold),
        TEST(a_backup_while_writing_is_consistent_and_opens),
        TEST_EMPTY(the_programs_own_migrations_run),
    };
    const struct CMUnitTest texts[] = {
        cmocka_unit_test(type_words_are_expanded_where_they_are_types)};
    int failed = _cmocka_run_group_tests("texts", texts, 1, NULL, NULL);
    failed += run_everywhere(tests, sizeof tests / sizeof tests[0]);
    return failed == 0 ? 0 : 1;
}
