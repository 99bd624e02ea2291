/* SPDX-License-Identifier: Apache-2.0 */
/* The key ring: keys are made once and kept, files of others or damaged files are refused, races
 * end in one key. */
#include "proof_samples.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static const char *message;

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int given_an_empty_folder(void **state)
{
    (void)state;
    message = "";
    memcpy(folder, "/tmp/keyring-XXXXXX", sizeof "/tmp/keyring-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"keys/secret-csrf.key",
                                        "keys/secret-data.key",
                                        "keys/secret-other.key",
                                        "keys/sm2-head.key",
                                        "keys/readme.txt",
                                        "keys",
                                        "kek",
                                        "own-kek",
                                        ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove(in_folder(names[i]));
    return access(folder, F_OK) == 0; /* nothing else may have been left behind */
}

static struct keyring *given_ring(void)
{
    struct keyring *ring = keyring_open(folder, NULL, true, &message);
    if (ring == NULL)
        fail_msg("%s", message);
    return ring;
}

static void assert_refused(const char *kek, bool create, const char *because)
{
    struct keyring *ring = keyring_open(folder, kek, create, &message);
    assert_null(ring);
    if (strstr(message, because) == NULL)
        fail_msg("`%s` does not say `%s`", message, because);
}

static void secrets_and_keys_survive_a_restart(void **state)
{
    (void)state;
    uint8_t first[32], again[32], other[32], point[SM2_POINT_BYTES], point_again[SM2_POINT_BYTES];
    struct keyring *ring = given_ring();
    keyring_secret(ring, "csrf", first);
    keyring_secret(ring, "other", other);
    sm2_point(keyring_sm2(ring, "head"), point);
    assert_memory_not_equal(first, other, 32);
    keyring_free(ring);
    ring = keyring_open(folder, NULL, false, &message);
    assert_non_null(ring);
    keyring_secret(ring, "csrf", again);
    sm2_point(keyring_sm2(ring, "head"), point_again);
    assert_memory_equal(first, again, 32);
    assert_memory_equal(point, point_again, SM2_POINT_BYTES);
    keyring_free(ring);
}

static void data_keys_differ_by_organisation_and_stay_the_same(void **state)
{
    (void)state;
    uint8_t platform[32], first[32], second[32], again[32];
    struct keyring *ring = given_ring();
    keyring_data_key(ring, (ref_t){0}, platform);
    keyring_data_key(ring, (ref_t){1}, first);
    keyring_data_key(ring, (ref_t){(int64_t)1 << 56}, second);
    keyring_data_key(ring, (ref_t){1}, again);
    assert_memory_not_equal(platform, first, 32);
    assert_memory_not_equal(first, second, 32);
    assert_memory_equal(first, again, 32);
    keyring_free(ring);
}

static void files_are_for_the_owner_only_and_hold_no_plain_key(void **state)
{
    (void)state;
    uint8_t secret[32], bytes[512];
    struct stat status;
    struct keyring *ring = given_ring();
    keyring_secret(ring, "csrf", secret);
    keyring_free(ring);
    assert_int_equal(stat(in_folder("kek"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(in_folder("keys/secret-csrf.key"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    FILE *file = fopen(in_folder("keys/secret-csrf.key"), "rb");
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_null(memmem(bytes, len, secret, 8));
}

static void files_that_others_can_read_are_refused(void **state)
{
    (void)state;
    uint8_t secret[32];
    struct keyring *ring = given_ring();
    keyring_secret(ring, "csrf", secret);
    keyring_free(ring);
    chmod(in_folder("kek"), 0640);
    assert_refused(NULL, false, "chmod 600");
    chmod(in_folder("kek"), 0600);
    chmod(in_folder("keys/secret-csrf.key"), 0604);
    assert_refused(NULL, false, "chmod 600");
}

static void a_damaged_or_exchanged_file_is_refused(void **state)
{
    (void)state;
    uint8_t secret[32];
    struct keyring *ring = given_ring();
    keyring_secret(ring, "csrf", secret);
    keyring_secret(ring, "other", secret);
    keyring_free(ring);
    char csrf[256];
    snprintf(csrf, sizeof csrf, "%s", in_folder("keys/secret-csrf.key"));
    assert_int_equal(rename(in_folder("keys/secret-other.key"), csrf), 0);
    assert_refused(NULL, false, "damaged");
    int fd = open(csrf, O_WRONLY | O_TRUNC);
    close(fd);
    assert_refused(NULL, false, "damaged");
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void another_kek_opens_nothing_and_a_missing_one_is_not_invented(void **state)
{
    (void)state;
    char own[256];
    uint8_t secret[32];
    snprintf(own, sizeof own, "%s", in_folder("own-kek"));
    assert_refused(own, true, "No such file");
    assert_refused(NULL, false, "No such file");
    struct keyring *ring = given_ring();
    keyring_secret(ring, "csrf", secret);
    keyring_free(ring);
    write_text(own, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
    assert_refused(own, false, "another KEK");
    write_text(own, "00112233");
    assert_refused(own, false, "32 bytes as hex");
}

static void files_of_another_kind_are_left_alone(void **state)
{
    (void)state;
    keyring_free(given_ring());
    write_text(in_folder("keys/readme.txt"), "hello");
    keyring_free(given_ring());
    assert_int_equal(access(in_folder("keys/readme.txt"), F_OK), 0);
}

struct reader {
    struct keyring *ring;
    uint8_t secret[32];
};

static void *read_secret(void *argument)
{
    struct reader *reader = argument;
    keyring_secret(reader->ring, "csrf", reader->secret);
    return NULL;
}

static void threads_that_ask_first_get_the_same_secret(void **state)
{
    (void)state;
    struct keyring *ring = given_ring();
    struct reader reader[8];
    pthread_t thread[8];
    for (int i = 0; i < 8; i++) {
        reader[i].ring = ring;
        assert_int_equal(pthread_create(&thread[i], NULL, read_secret, &reader[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(thread[i], NULL);
        assert_memory_equal(reader[i].secret, reader[0].secret, 32);
    }
    keyring_free(ring);
}

static void processes_that_ask_first_get_the_same_secret(void **state)
{
    (void)state;
    int ends[2];
    uint8_t first[32], next[32];
    assert_int_equal(pipe(ends), 0);
    keyring_free(given_ring());
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            struct keyring *ring = keyring_open(folder, NULL, true, &message);
            keyring_secret(ring, "csrf", next);
            bool told = write(ends[1], next, 32) == 32;
            keyring_free(ring);
            _exit(told ? 0 : 1);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status;
        assert_true(wait(&status) > 0 && status == 0);
        assert_int_equal(read(ends[0], i == 0 ? first : next, 32), 32);
        if (i > 0)
            assert_memory_equal(first, next, 32);
    }
    close(ends[0]);
    close(ends[1]);
}

#define RING_TEST(test) cmocka_unit_test_setup_teardown(test, given_an_empty_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(secrets_and_keys_survive_a_restart),
        RING_TEST(data_keys_differ_by_organisation_and_stay_the_same),
        RING_TEST(files_are_for_the_owner_only_and_hold_no_plain_key),
        RING_TEST(files_that_others_can_read_are_refused),
        RING_TEST(a_damaged_or_exchanged_file_is_refused),
        RING_TEST(another_kek_opens_nothing_and_a_missing_one_is_not_invented),
        RING_TEST(files_of_another_kind_are_left_alone),
        RING_TEST(threads_that_ask_first_get_the_same_secret),
        RING_TEST(processes_that_ask_first_get_the_same_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
