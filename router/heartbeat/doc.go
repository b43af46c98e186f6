// Package heartbeat misses signs of life. Something that runs regularly, a
// backup or Alertmanager itself, says so; when it does not, an alert fires, and
// goes the way of every alert. A sign that comes again resolves it.
package heartbeat
