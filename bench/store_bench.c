/* store_bench.c - checkpoints alone: how long gathering and writing take, and opening again.
 *
 *   store_bench FOLDER KEYS VALUE_BYTES CHECKPOINTS
 *
 * Each checkpoint puts all keys in a random order, as a part of the state gives them. Prints the
 * loop's time (put, commit) and the store thread's time and CPU for each key, and how long opening
 * the folder takes after a clean close.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/os.h"
#include "state/store.h"

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

static int fail(const freshet_error *err)
{
    fprintf(stderr, "store_bench: %s\n", err->text);
    return 1;
}

static uint64_t drawn = 1;

static uint32_t draw(uint32_t below)
{
    drawn = drawn * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((drawn >> 33) % below);
}

int main(int argc, char **argv)
{
    freshet_error err = {0};
    state_store *store = NULL;
    if (argc != 5) {
        fprintf(stderr, "usage: store_bench FOLDER KEYS VALUE_BYTES CHECKPOINTS\n");
        return 2;
    }
    uint32_t keys = (uint32_t)strtoul(argv[2], NULL, 10);
    uint32_t value_bytes = (uint32_t)strtoul(argv[3], NULL, 10);
    uint32_t checkpoints = (uint32_t)strtoul(argv[4], NULL, 10);
    uint32_t *order = malloc(keys * sizeof *order);
    char *value = malloc(value_bytes + 8);
    for (uint32_t i = 0; i < keys; i++)
        order[i] = i;
    for (uint32_t i = keys - 1; i > 0; i--) {
        uint32_t other = draw(i + 1), held = order[i];
        order[i] = order[other];
        order[other] = held;
    }
    for (uint32_t i = 0; i < value_bytes + 8; i++)
        value[i] = (char)(draw(4) == 0 ? draw(256) : i);
    if (store_open(argv[1], false, STORE_MEMORY_MIN, &store, &err) != FRESHET_OK)
        return fail(&err);
    double cpu = cpu_s();
    for (uint32_t n = 0; n < checkpoints; n++) {
        int64_t start_us = os.monotonic_us();
        freshet_code code = store_begin(store, &err);
        for (uint32_t i = 0; code == FRESHET_OK && i < keys; i++) {
            char key[24];
            int length = snprintf(key, sizeof key, "%08u", order[i]);
            memcpy(value, &order[i], 4);
            memcpy(value + 4, &n, 4);
            code = store_put(store, STORE_STATE, "windows", key, (size_t)length, value, value_bytes,
                             &err);
        }
        if (code == FRESHET_OK)
            code = store_commit(store, &err);
        int64_t handed_us = os.monotonic_us();
        if (code == FRESHET_OK)
            code = store_wait(store, &err);
        if (code != FRESHET_OK)
            return fail(&err);
        int64_t end_us = os.monotonic_us();
        double used = cpu_s() - cpu;
        cpu = cpu_s();
        printf("checkpoint %u: gathered %.3f s, written %.3f s, CPU %.3f s (%.2f us a key)\n",
               n + 1, (double)(handed_us - start_us) / 1e6, (double)(end_us - handed_us) / 1e6,
               used, used * 1e6 / keys);
    }
    int64_t start_us = os.monotonic_us();
    store_close(store);
    printf("closed in %.3f s\n", (double)(os.monotonic_us() - start_us) / 1e6);
    start_us = os.monotonic_us();
    if (store_open(argv[1], false, STORE_MEMORY_MIN, &store, &err) != FRESHET_OK)
        return fail(&err);
    printf("opened in %.3f s\n", (double)(os.monotonic_us() - start_us) / 1e6);
    store_close(store);
    free(order);
    free(value);
    return 0;
}
