/* plugins.c - shared libraries that a declaration brings along: freshet/plugin.h is the manual.
 *
 * They are loaded when the declaration is read, so that whatever is done with it knows their
 * functions. What is wrong with one is told at its place. A library stays loaded.
 */
#include "declaration/plugins.h"

#include <freshet/plugin.h>

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "declaration/handle.h"

#define PLUGIN_SYMBOL "freshet_plugin_get"

typedef struct plugin_loading {
    freshet_declaration *handle;
    uint32_t number; /* from 1 */
} plugin_loading;

static freshet_code plugin_add_function(void *handle, const char *name, const char *returns,
                                        const char *const *arguments, uint32_t n_arguments,
                                        freshet_function_fn *function, void *context,
                                        freshet_error *err)
{
    const plugin_loading *loading = handle;
    user_function **end = loading->handle->functions_end;
    if (end == NULL)
        end = &loading->handle->functions;
    const freshet_code code = freshet_add_function(loading->handle, name, returns, arguments,
                                                   n_arguments, function, context, err);
    if (code == FRESHET_OK)
        (*end)->plugin = loading->number;
    return code;
}

/* Its path for the loader, which looks elsewhere for names without a slash. */
static const char *plugin_path(const declaration *declaration, arena *arena, const char *given)
{
    const char *path = declaration_path(declaration, arena, given);
    return path == NULL || strchr(path, '/') != NULL ? path : arena_format(arena, "./%s", path);
}

static bool open_plugin(const freshet_declaration *handle, const declared_text *named,
                        problems *problems, freshet_plugin_get_fn **get)
{
    const char *path = plugin_path(&handle->parsed, handle->arena, named->value);
    if (path == NULL)
        return false; /* the arena tells */
    if (access(path, R_OK) != 0)
        return problem_add(problems, &named->at, "the plugin \"%s\" cannot be read: %s", path,
                           strerror(errno));
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL)
        return problem_add(problems, &named->at, "the plugin \"%s\" cannot be loaded: %s", path,
                           dlerror());
    void *symbol = dlsym(library, PLUGIN_SYMBOL);
    memcpy(get, &symbol,
           sizeof *get); /* ISO C has no cast from an object's pointer to a function's */
    dlclose(library);    /* RTLD_NODELETE: it stays */
    if (*get == NULL)
        return problem_add(problems, &named->at,
                           "the library \"%s\" is no plugin: it exports no function " PLUGIN_SYMBOL
                           " (freshet/plugin.h)",
                           path);
    return true;
}

static void load_plugin(freshet_declaration *handle, uint32_t i, problems *problems)
{
    const declared_text *named = &handle->parsed.plugins.items[i];
    plugin_loading loading = {handle, i + 1};
    const freshet_plugin_host host = {&loading, plugin_add_function};
    freshet_plugin_get_fn *get = NULL;
    freshet_error why = {0};
    if (!open_plugin(handle, named, problems, &get) || get == NULL)
        return;
    const freshet_plugin *plugin = get();
    if (plugin == NULL || plugin->abi != FRESHET_PLUGIN_ABI || plugin->add == NULL) {
        problem_add(problems, &named->at,
                    "the plugin \"%s\" was compiled for version %u of freshet/plugin.h, and this "
                    "Freshet has version %u: compile it anew with the header of this one",
                    named->value, plugin == NULL ? 0 : plugin->abi, FRESHET_PLUGIN_ABI);
        return;
    }
    if (plugin->add(&host, &why) != FRESHET_OK) {
        why.text[sizeof why.text - 1] = '\0';
        problem_add(problems, &named->at, "the plugin \"%s\" could not add its functions: %s",
                    named->value, why.text[0] == '\0' ? "it does not say why" : why.text);
    }
}

void plugins_load(freshet_declaration *handle, problems *problems)
{
    for (uint32_t i = 0; i < handle->parsed.plugins.n; i++)
        load_plugin(handle, i, problems);
}
