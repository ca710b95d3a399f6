/* plugin.h - functions of your own for a declaration, in a shared library: `plugins: [./mine.so]`.
 *
 * A plugin is a library with one exported function, freshet_plugin_get, that gives the plugin's
 * description: the version of this interface that it was compiled for, and what to call for its
 * functions to be added. All of it (see examples/plugin, which has a Makefile):
 *
 *     #include <freshet/plugin.h>
 *
 *     static freshet_code add(const freshet_plugin_host *host, freshet_error *err)
 *     {
 *         static const char *const arguments[] = {"string"};
 *         return host->add_function(host->handle, "words", "integer", arguments, 1, words, NULL,
 *                                   err);
 *     }
 *
 *     FRESHET_PLUGIN_EXPORT const freshet_plugin *freshet_plugin_get(void)
 *     {
 *         static const freshet_plugin plugin = {FRESHET_PLUGIN_ABI, add};
 *         return &plugin;
 *     }
 *
 *     cc -shared -fPIC -o mine.so mine.c
 *
 * It needs no library of Freshet to be linked to. What a function gets and gives, who releases
 * what, and its threads: freshet_function_fn in freshet.h, and freshet_add_function, as which
 * add_function works. The SQL of the declaration calls the functions by their names.
 *
 * Order of calls: freshet_plugin_get, then `add`, once each time a declaration that names the
 * plugin is read (by `run`, `check`, `show` and the others alike). It is never unloaded. `add`
 * gives FRESHET_OK; or another code and, in err->text, one sentence why, which is told at the
 * plugin's place in the declaration.
 *
 * A PLUGIN IS CODE THAT RUNS AS YOU, with all that you may read and write. It is run when a
 * declaration is only looked at, too. Do not use a declaration with plugins that you do not trust.
 */
#ifndef FRESHET_PLUGIN_H
#define FRESHET_PLUGIN_H

#include <freshet/freshet.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a struct below changes; a plugin of another version is refused. */
#define FRESHET_PLUGIN_ABI 1u

#define FRESHET_PLUGIN_EXPORT __attribute__((visibility("default")))

/* What the plugin may call, until `add` returns. */
typedef struct freshet_plugin_host {
    void *handle;
    /* As freshet_add_function; the texts are copied, `context` must live as long as the process. */
    freshet_code (*add_function)(void *handle, const char *name, const char *returns,
                                 const char *const *arguments, uint32_t n_arguments,
                                 freshet_function_fn *function, void *context, freshet_error *err);
} freshet_plugin_host;

typedef struct freshet_plugin {
    uint32_t abi; /* FRESHET_PLUGIN_ABI */
    freshet_code (*add)(const freshet_plugin_host *host, freshet_error *err);
} freshet_plugin;

typedef const freshet_plugin *freshet_plugin_get_fn(void);

FRESHET_PLUGIN_EXPORT const freshet_plugin *freshet_plugin_get(void);

#ifdef __cplusplus
}
#endif

#endif
