/* plugins.h - the shared libraries of `plugins:` (freshet/plugin.h). */
#ifndef FRESHET_DECLARATION_PLUGINS_H
#define FRESHET_DECLARATION_PLUGINS_H

#include "declaration/declaration.h"

/* Loads them, and adds their functions to those of the declaration (declaration_functions). */
void plugins_load(freshet_declaration *handle, problems *problems);

#endif
