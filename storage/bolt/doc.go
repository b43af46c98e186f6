// Package bolt is the store of a single machine: one bbolt file, one committer.
// It implements storage.Store, and is the only package that knows bbolt.
//
// # Guarantee
//
// What package storage promises, with fsync (fdatasync) before every answer.
// After a failed fsync the store is fenced: it refuses every update until it is
// opened again, since what the kernel holds then is unknown. A full disk, the
// size cap and a read-only file system refuse updates only as long as they
// last.
//
// # Why one committer
//
// bbolt takes one writer at a time and a commit costs two fsyncs, so the writes
// of many callers must share one. bbolt's own Batch waits 10 ms for company;
// here one goroutine takes whatever has queued while the last commit was under
// way. It also owns the memory: a decision reads decoded incidents and never
// waits for the disk or for a lock.
//
// # Memory and disk
//
// Live incidents, the states of their alerts, the silences and the documents are
// held in memory, and with them when the next thing is due; the text of alerts,
// archived incidents and timelines are on disk alone.
// Nothing on the write path costs more for an incident of 50,000 alerts than for
// one of 50: an incident that is archived leaves its alerts behind, and the
// committer clears them away in small portions.
//
//	bucket         key                            value (JSON)
//	incidents      opened (8 bytes) + ID          lastEvent + Incident
//	archive        the same                       the same
//	states         incident's key + Seq (4)       AlertState
//	bodies         incident's key + Seq (4)       Alert
//	orphans        alert's Key (16)               AlertState
//	orphanbodies   alert's Key (16)               Alert
//	events         Seq (8)                        prev + Event
//	               Seq of the one before (8) + 1  hash there + SHA-256 of those that follow
//	silences       ID                             Silence
//	purging        incident's key                 lastEvent
//	documents      kind + 0 (1) + ID              as it was put
//	meta           "schema"                       number
//
// New incidents, alerts and events go to the right-most leaves, so a commit
// touches few pages. An event names the one before it in the same incident, and
// the incident names its last: a timeline is a walk back along those.
//
// # The audit log
//
// All events together are the audit log: a chain of hashes runs over them, in the
// order of Seq (see tocsin.AuditHash; an event's bytes are those on disk). A commit
// adds one record to the chain, for all events that it writes, and puts it before
// them in the same bucket: they share pages. When the retention drops events, an event of kind "log" says which, in the same transaction; what is
// missing otherwise was taken out by somebody else. The chain begins where the
// first event does that is kept.
package bolt
