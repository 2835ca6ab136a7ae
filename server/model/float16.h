// The two 16-bit floating-point formats in this folder's namespace: kernels/float16.h.
#pragma once

#include "kernels/float16.h"

namespace dyad {

using kernels::FromBfloat16;
using kernels::FromFloat16;
using kernels::ToBfloat16;
using kernels::ToFloat16;

}  // namespace dyad
