/* machine_test.c - limits of cgroups: version 2 and 1, of one above, of a container, and none; of
 * memory and of cores. */
#define _GNU_SOURCE
#include "base/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char root[] = "/tmp/freshet-machine-XXXXXX";

static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = strchr(full + strlen(root) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(full, 0700);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_root(void **state)
{
    (void)state;
    memcpy(root + strlen(root) - 6, "XXXXXX", 6);
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state)
{
    char command[600];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void expect_limit(uint64_t bytes)
{
    const machine_memory memory = machine_memory_of(root);
    assert_int_equal(memory.bytes, bytes);
    assert_true(memory.of_cgroup);
}

static void expect_machine(void)
{
    const machine_memory memory = machine_memory_of(root);
    assert_int_equal(memory.bytes,
                     (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_false(memory.of_cgroup);
}

static void without_cgroups_it_is_the_machines(void **state)
{
    (void)state;
    expect_machine();
    put("/proc/self/cgroup", "0::/unit.service\n");
    expect_machine();
    put("/sys/fs/cgroup/unit.service/memory.max", "max\n");
    expect_machine();
}

static void version_2_has_a_limit(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/system.slice/unit.service\n");
    put("/sys/fs/cgroup/system.slice/unit.service/memory.max", "8388608\n");
    expect_limit(8388608);
}

static void the_least_of_those_above_counts(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/memory.max", "8388608\n");
    put("/sys/fs/cgroup/a/memory.max", "4194304\n");
    put("/sys/fs/cgroup/memory.max", "max\n");
    expect_limit(4194304);
}

static void version_1_has_a_limit(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "12:pids:/x\n4:cpu,memory:/y\n3:memory2:/z\n");
    put("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "2097152\n");
    put("/sys/fs/cgroup/memory/z/memory.limit_in_bytes", "4096\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    expect_limit(2097152);
}

/* The path is the host's, and what is mounted the container's own. */
static void a_container_sees_its_own(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:memory:/docker/0123\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n");
    expect_limit(1048576);
}

/* ---- cores ----------------------------------------------------------------------------------- */

static uint32_t cores_of_process(void)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    return (uint32_t)CPU_COUNT(&set);
}

static void version_2_has_a_quota(void **state)
{
    (void)state;
    assert_int_equal(machine_cores(root), cores_of_process());
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    assert_int_equal(machine_cores(root), cores_of_process());
    put("/sys/fs/cgroup/a/cpu.max", "100000000 100000\n"); /* more than there are */
    assert_int_equal(machine_cores(root), cores_of_process());
    put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    assert_int_equal(machine_cores(root), 1);
    put("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    assert_int_equal(machine_cores(root), 1);
}

/* A part of a core counts as one. */
static void a_part_of_a_core_is_one(void **state)
{
    (void)state;
    const uint32_t cores = cores_of_process();
    put("/proc/self/cgroup", "0::/a\n");
    put("/sys/fs/cgroup/a/cpu.max", "100001 100000\n");
    assert_int_equal(machine_cores(root), cores < 2 ? cores : 2);
}

static void version_1_has_a_quota(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:cpu,cpuacct:/y\n3:cpuset:/z\n");
    put("/sys/fs/cgroup/cpu/z/cpu.cfs_quota_us", "1000\n");
    put("/sys/fs/cgroup/cpu/y/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/y/cpu.cfs_period_us", "100000\n");
    assert_int_equal(machine_cores(root), cores_of_process());
    put("/sys/fs/cgroup/cpu/y/cpu.cfs_quota_us", "90000\n");
    assert_int_equal(machine_cores(root), 1);
}

/* As `taskset` does. */
static void those_it_may_run_on_count(void **state)
{
    cpu_set_t all, one;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    const uint32_t cores = machine_cores(root);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(cores, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_cgroups_it_is_the_machines, make_root, remove_root),
        cmocka_unit_test_setup_teardown(version_2_has_a_limit, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_least_of_those_above_counts, make_root, remove_root),
        cmocka_unit_test_setup_teardown(version_1_has_a_limit, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_container_sees_its_own, make_root, remove_root),
        cmocka_unit_test_setup_teardown(version_2_has_a_quota, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_part_of_a_core_is_one, make_root, remove_root),
        cmocka_unit_test_setup_teardown(version_1_has_a_quota, make_root, remove_root),
        cmocka_unit_test_setup_teardown(those_it_may_run_on_count, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
