// Every op as a C++ function: what vjps, the bindings and C++ users call. One header per stem.
#pragma once
#include "ops/creation.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/view.h"
