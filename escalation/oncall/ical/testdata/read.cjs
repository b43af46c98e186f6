// Reads a JSON list of calendars from stdin and prints what ical.js makes of
// each: its properties, and the occurrences that begin before 2027.
const ICAL = require("ical.js").default ?? require("ical.js");

const answers = JSON.parse(require("fs").readFileSync(0, "utf8")).map((text) => {
  const calendar = new ICAL.Component(ICAL.parse(text));
  const events = [];
  for (const component of calendar.getAllSubcomponents("vevent")) {
    const event = new ICAL.Event(component);
    const occurrences = event.iterator();
    for (let start; (start = occurrences.next()) && start.year < 2027; ) {
      const { startDate, endDate } = event.getOccurrenceDetails(start);
      events.push({
        UID: event.uid,
        Summary: event.summary ?? "",
        Start: startDate.toString(),
        End: endDate.toString(),
        AllDay: startDate.isDate,
      });
    }
  }
  return {
    Name: calendar.getFirstPropertyValue("name") ?? "",
    Refresh: calendar.getFirstPropertyValue("refresh-interval")?.toString() ?? "",
    Events: events,
  };
});
process.stdout.write(JSON.stringify(answers));
