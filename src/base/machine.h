/* machine.h - how much memory there is for this process.
 *
 * The limit of the cgroup that the process is in, or of one above it, where one of them has a limit
 * (version 2: memory.max; version 1: memory.limit_in_bytes), as in a container or a systemd unit;
 * else the machine's memory. */
#ifndef FRESHET_BASE_MACHINE_H
#define FRESHET_BASE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct machine_memory {
    uint64_t bytes;
    bool of_cgroup; /* it is the limit of a cgroup */
} machine_memory;

/* `root`: "" for the real /proc and /sys. */
machine_memory machine_memory_of(const char *root);

#endif
