/* machine.h - how much memory, and how many cores, there are for this process.
 *
 * The limit of the cgroup that the process is in, or of one above it, where one of them has a limit
 * (version 2: memory.max and cpu.max; version 1: memory.limit_in_bytes, and cpu.cfs_quota_us for
 * each cpu.cfs_period_us), as in a container or a systemd unit; else what the machine has. */
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

/* The cores that the process may use, 1 at least: those that the system lets it run on (taskset,
 * cpusets), or fewer where a cgroup allows it less time of them; a part of a core counts as one. */
uint32_t machine_cores(const char *root);

#endif
