/* memory_probe.c - how quick the machine's memory is at this moment.
 *
 *     memory_probe [MIB]
 *
 * Prints {"ns_per_read": N, "gb_per_s": N}: the time of a read that depends on the one before,
 * somewhere in MIB (64) of memory, and the speed of copying the one half onto the other. Both in
 * this thread's CPU time, so that others who want the same core do not count, while others who want
 * the same memory do; so does a guest system whose host is slow to give it pages, which looks like
 * work of its own programs. The best of three passes each.
 *
 * The reads go through all lines of memory: line i holds the number of the line that comes next, by
 * a step that has no divisor in common with how many there are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_BYTES 64
#define MIB_DEFAULT 64
#define MIB_MAX 4096
#define PASSES 3
#define READS 400000
#define STEP 40503 /* odd, and there are a power of two of lines */

typedef struct line {
    uint64_t next;
    uint8_t rest[LINE_BYTES - sizeof(uint64_t)];
} line;

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double ns_per_read(const line *lines, uint64_t *at)
{
    const double began_s = cpu_s();
    for (int i = 0; i < READS; i++)
        *at = lines[*at].next;
    return (cpu_s() - began_s) * 1e9 / READS;
}

static double gb_per_s(line *lines, size_t n)
{
    const size_t bytes = n / 2 * sizeof(line);
    const double began_s = cpu_s();
    memcpy(lines + n / 2, lines, bytes);
    return (double)bytes / 1e9 / (cpu_s() - began_s);
}

int main(int n_arguments, char **arguments)
{
    const long mib = n_arguments > 1 ? atol(arguments[1]) : MIB_DEFAULT;
    size_t n = 1;
    if (mib < 1 || mib > MIB_MAX) {
        fprintf(stderr, "memory_probe: MIB is 1 to %d\n", MIB_MAX);
        return 2;
    }
    while (n * 2 * sizeof(line) <= (size_t)mib << 20)
        n *= 2;
    line *lines = malloc(n * sizeof(line));
    if (lines == NULL) {
        fprintf(stderr, "memory_probe: no memory\n");
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        memset(&lines[i], (int)i & 0xff, sizeof(line));
        lines[i].next = (i + STEP) & (n - 1);
    }
    uint64_t at = 0;
    double read_ns = 1e12, copy_gb = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        const double ns = ns_per_read(lines, &at);
        read_ns = ns < read_ns ? ns : read_ns;
    }
    /* The copy takes the upper half's numbers away, so it comes last. */
    for (int pass = 0; pass < PASSES; pass++) {
        const double gb = gb_per_s(lines, n);
        copy_gb = gb > copy_gb ? gb : copy_gb;
    }
    printf("{\"ns_per_read\": %.2f, \"gb_per_s\": %.3f, \"end\": %" PRIu64 "}\n", read_ns, copy_gb,
           at);
    free(lines);
    return 0;
}
