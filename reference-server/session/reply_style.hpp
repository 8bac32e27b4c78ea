#pragma once

namespace refserver {

/// How replies look. Each style includes the possibility to negotiate less.
enum class ReplyStyle { simple, structured, extended };

} // namespace refserver
