/* cql_load.c - see cql_load.h.
 *
 * "Beside" is meant twice, since the program may be ours or one that has libfreshet.so in it:
 * beside the executable (/proc/self/exe), and beside the object that holds this code (dladdr).
 */
#define _GNU_SOURCE
#include "writers/cassandra/cql_load.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#ifndef FRESHET_LIBDIR
#define FRESHET_LIBDIR "lib"
#endif

#define HOW_TO_BUILD \
    "build it by 'make adapter' in Freshet's source, or name the file in " CQL_LOAD_ENVIRONMENT

/* The folder of a file, links followed, with its last slash; false if there is none. */
static bool folder_of(const char *path, char folder[PATH_MAX])
{
    if (realpath(path, folder) == NULL)
        return false;
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[1] = '\0';
    return slash != NULL;
}

/* Of a program dladdr gives the name it was called by, which /proc knows better. */
static bool folder_of_library(char folder[PATH_MAX])
{
    static const char here;
    Dl_info info;
    return dladdr(&here, &info) != 0 && info.dli_fname != NULL &&
           strchr(info.dli_fname, '/') != NULL && folder_of(info.dli_fname, folder);
}

/* The first place where the file is; false if none. */
static bool find_beside(char found[PATH_MAX])
{
    static const char *const places[] = {"../adapter/", "freshet/",
                                         "../" FRESHET_LIBDIR "/freshet/"};
    char folders[2][PATH_MAX];
    bool known[2] = {folder_of("/proc/self/exe", folders[0]), folder_of_library(folders[1])};
    for (size_t f = 0; f < 2; f++)
        for (size_t p = 0; known[f] && p < sizeof places / sizeof *places; p++) {
            int n = snprintf(found, PATH_MAX, "%s%s" CQL_LOAD_FILE, folders[f], places[p]);
            if (n > 0 && n < PATH_MAX && access(found, R_OK) == 0)
                return true;
        }
    return false;
}

freshet_code cql_load_check(const char *path, const cql_api *api, freshet_error *err)
{
    if (api == NULL || api->version != CQL_API_VERSION || api->size < CQL_API_SIZE_MIN)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                         "this Cassandra adapter has version %u of the interface, and this Freshet "
                         "wants version %u: " HOW_TO_BUILD,
                         api == NULL ? 0 : api->version, CQL_API_VERSION);
    return FRESHET_OK;
}

static freshet_code load(const char *path, const cql_api **api, freshet_error *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                         "the Cassandra adapter cannot be loaded (%s): " HOW_TO_BUILD, dlerror());
    cql_api_fn *get = NULL;
    void *symbol = dlsym(library, CQL_API_SYMBOL);
    memcpy(&get, &symbol,
           sizeof get); /* ISO C has no cast from an object's pointer to a function's */
    if (get == NULL) {
        dlclose(library);
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                         "this library is no Cassandra adapter, it has no " CQL_API_SYMBOL
                         ": " HOW_TO_BUILD);
    }
    *api = get();
    return cql_load_check(path, *api, err);
}

static const cql_api *instead;

void cql_load_instead(const cql_api *api)
{
    instead = api;
}

freshet_code cql_load(const cql_api **api, freshet_error *err)
{
    *api = instead;
    if (instead != NULL)
        return FRESHET_OK;
    const char *named = getenv(CQL_LOAD_ENVIRONMENT);
    if (named != NULL && *named != '\0')
        return load(named, api, err);
    char path[PATH_MAX];
    if (!find_beside(path))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the Cassandra adapter, " CQL_LOAD_FILE
                         ", which 'cassandra:' needs, is not installed: " HOW_TO_BUILD);
    return load(path, api, err);
}
