// Telling the child of a fork() from its parent: fork_generation().
#pragma once

#include <valkeycache/detail/future_state.hpp>
