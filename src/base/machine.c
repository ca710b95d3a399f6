/* machine.c - see machine.h.
 *
 * /proc/self/cgroup has a line a hierarchy, `number:controllers:path`: version 2's has no
 * controllers, version 1's names "memory". The path is looked for under the hierarchy's usual mount
 * point, and so are all above it, up to the mount point itself: in a container the path may be the
 * host's, and is not there, but the mount point is then the container's own cgroup. A limit that is
 * not below what the machine has is none ("max", or version 1's 2^63, or its quota of -1). */
#define _GNU_SOURCE
#include "base/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"

#define MACHINE_PATH_MAX 4352u
#define CGROUP_BYTES_MAX 16384u

/* ---- the cgroup and all above it ------------------------------------------------------------- */

/* One kind of limit: where it is to be found, and what takes it from the folder of a cgroup. */
typedef struct limit_kind {
    const char *controller; /* of version 1 */
    const char *mount;      /* of version 1 */
    void (*take)(const char *folder, bool is_version_2, void *into);
} limit_kind;

/* The number in folder/name; false where there is none. */
static bool read_number(const char *folder, const char *name, unsigned long long *number)
{
    char path[MACHINE_PATH_MAX + 64], text[64], *end;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (os_read_text(path, text, sizeof text) <= 0 || text[0] < '0' || text[0] > '9')
        return false;
    *number = strtoull(text, &end, 10);
    return true;
}

static void take_limits(const limit_kind *kind, const char *root, const char *mount,
                        const char *cgroup, bool is_version_2, void *into)
{
    char path[MACHINE_PATH_MAX];
    const int n = snprintf(path, sizeof path, "%s%s%s", root, mount, cgroup);
    const size_t top = strlen(root) + strlen(mount);
    if (n < 0 || (size_t)n >= sizeof path)
        return;
    for (size_t length = (size_t)n;; length = (size_t)(strrchr(path, '/') - path)) {
        path[length] = '\0';
        kind->take(path, is_version_2, into);
        if (length <= top)
            return;
    }
}

/* Is it one of the controllers, which commas part? */
static bool has_controller(const char *controllers, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = controllers; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

static void take_all_limits(const limit_kind *kind, const char *root, void *into)
{
    char path[MACHINE_PATH_MAX], text[CGROUP_BYTES_MAX];
    char *rest = NULL;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (strlen(root) > MACHINE_PATH_MAX / 2 || os_read_text(path, text, sizeof text) <= 0)
        return;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':');
        char *cgroup = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (cgroup == NULL || cgroup[1] != '/')
            continue;
        *cgroup++ = '\0';
        if (controllers[1] == '\0')
            take_limits(kind, root, "/sys/fs/cgroup", cgroup, true, into);
        else if (has_controller(controllers + 1, kind->controller))
            take_limits(kind, root, kind->mount, cgroup, false, into);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void take_memory(const char *folder, bool is_version_2, void *into)
{
    machine_memory *memory = into;
    unsigned long long bytes;
    const char *name = is_version_2 ? "memory.max" : "memory.limit_in_bytes";
    if (read_number(folder, name, &bytes) && bytes > 0 && bytes < memory->bytes)
        *memory = (machine_memory){bytes, true};
}

machine_memory machine_memory_of(const char *root)
{
    static const limit_kind kind = {"memory", "/sys/fs/cgroup/memory", take_memory};
    machine_memory memory = {(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
                             false};
    take_all_limits(&kind, root, &memory);
    return memory;
}

/* ---- cores ----------------------------------------------------------------------------------- */

/* Version 2: "QUOTA PERIOD" in one file, microseconds. */
static bool read_quota(const char *folder, bool is_version_2, unsigned long long *quota,
                       unsigned long long *period)
{
    char path[MACHINE_PATH_MAX + 64], text[64], *end;
    if (!is_version_2)
        return read_number(folder, "cpu.cfs_quota_us", quota) &&
               read_number(folder, "cpu.cfs_period_us", period);
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (os_read_text(path, text, sizeof text) <= 0 || text[0] < '0' || text[0] > '9')
        return false;
    *quota = strtoull(text, &end, 10);
    *period = strtoull(end, &end, 10);
    return true;
}

static void take_cores(const char *folder, bool is_version_2, void *into)
{
    uint32_t *cores = into;
    unsigned long long quota, period;
    if (!read_quota(folder, is_version_2, &quota, &period) || quota == 0 || period == 0)
        return;
    const unsigned long long n = (quota - 1) / period + 1;
    if (n < *cores)
        *cores = (uint32_t)n;
}

/* More cores than a cpu_set_t has room for: all that are there. */
static uint32_t cores_of_system(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

uint32_t machine_cores(const char *root)
{
    static const limit_kind kind = {"cpu", "/sys/fs/cgroup/cpu", take_cores};
    uint32_t cores = cores_of_system();
    take_all_limits(&kind, root, &cores);
    return cores;
}
