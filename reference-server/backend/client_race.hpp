#pragma once

namespace refserver {

#if defined(__SANITIZE_THREAD__)
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif

/// While it exists, bytes of a disk are accessed in this thread that another one may access at the same time,
/// if clients write where they read. As on any disk, what is read then is undefined, and that is all: nobody
/// draws conclusions from these bytes. ThreadSanitizer, which cannot see that well-behaved clients order
/// their requests themselves, looks away.
class ClientRace {
  public:
    ClientRace() {
#if defined(__SANITIZE_THREAD__)
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
    }
    ~ClientRace() {
#if defined(__SANITIZE_THREAD__)
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
    }
    ClientRace(const ClientRace&) = delete;
    ClientRace& operator=(const ClientRace&) = delete;
};

} // namespace refserver
