/* folder_testing.h - a folder for what a test writes, in TMPDIR: `folder` is its path between
 * folder_make and folder_remove. */
#ifndef FRESHET_BASE_FOLDER_TESTING_H
#define FRESHET_BASE_FOLDER_TESTING_H

#include <stdio.h>
#include <stdlib.h>

static char folder[256];

/* `name` tells whose it is. 0, or -1 where there can be none. */
static inline int folder_make(const char *name)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/freshet-%s.XXXXXX", parent ? parent : "/tmp", name);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

/* A test's or a group's teardown. */
static inline int folder_remove(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c) */
}

#endif
