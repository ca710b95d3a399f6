/* machine.c - see machine.h.
 *
 * /proc/self/cgroup has a line a hierarchy, `number:controllers:path`: version 2's has no
 * controllers, version 1's names "memory". The path is looked for under the hierarchy's usual mount
 * point, and so are all above it, up to the mount point itself: in a container the path may be the
 * host's, and is not there, but the mount point is then the container's own cgroup. A limit that is
 * not below the machine's memory is none ("max", or version 1's 2^63). */
#include "base/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"

#define MACHINE_PATH_MAX 4352u
#define CGROUP_BYTES_MAX 16384u

/* The file's text, up to size - 1 bytes; false where there is none. */
static bool read_file(const char *path, char *into, size_t size)
{
    const int fd = os.open(path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    const ssize_t n = os_read_all(fd, into, size - 1);
    os.close(fd);
    into[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static void take_limit(const char *path, machine_memory *memory)
{
    char text[64];
    char *end;
    if (!read_file(path, text, sizeof text) || text[0] < '0' || text[0] > '9')
        return;
    const unsigned long long bytes = strtoull(text, &end, 10);
    if (bytes > 0 && bytes < memory->bytes)
        *memory = (machine_memory){bytes, true};
}

/* The limits of the cgroup and of all above it. */
static void take_limits(const char *root, const char *mount, const char *cgroup, const char *name,
                        machine_memory *memory)
{
    char path[MACHINE_PATH_MAX], file[MACHINE_PATH_MAX + 64];
    const int n = snprintf(path, sizeof path, "%s%s%s", root, mount, cgroup);
    const size_t top = strlen(root) + strlen(mount);
    if (n < 0 || (size_t)n >= sizeof path)
        return;
    for (size_t length = (size_t)n;; length = (size_t)(strrchr(path, '/') - path)) {
        path[length] = '\0';
        snprintf(file, sizeof file, "%s/%s", path, name);
        take_limit(file, memory);
        if (length <= top)
            return;
    }
}

/* Is "memory" one of the controllers, which commas part? */
static bool has_memory(const char *controllers)
{
    for (const char *at = controllers; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, "memory", 6) == 0 && (at[6] == ',' || at[6] == '\0'))
            return true;
    }
    return false;
}

machine_memory machine_memory_of(const char *root)
{
    char path[MACHINE_PATH_MAX], text[CGROUP_BYTES_MAX];
    char *rest = NULL;
    machine_memory memory = {(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
                             false};
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (strlen(root) > MACHINE_PATH_MAX / 2 || !read_file(path, text, sizeof text))
        return memory;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':');
        char *cgroup = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (cgroup == NULL || cgroup[1] != '/')
            continue;
        *cgroup++ = '\0';
        if (controllers[1] == '\0')
            take_limits(root, "/sys/fs/cgroup", cgroup, "memory.max", &memory);
        else if (has_memory(controllers + 1))
            take_limits(root, "/sys/fs/cgroup/memory", cgroup, "memory.limit_in_bytes", &memory);
    }
    return memory;
}
