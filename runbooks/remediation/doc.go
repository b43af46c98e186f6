// Package remediation runs the remedies that the operators have declared, under
// their contracts.
//
// A remedy is a command with a contract; a remediation is one run of a remedy for
// one target of one incident. Alerts choose remedies and fill in their parameters;
// they never say what is run: the path of the command is the operators', a
// placeholder never makes two arguments of one, the environment is literal, and a
// value that does not match its pattern as a whole means that nothing is run.
//
// Rules are immutable and their decisions pure: does a remedy fit, what would be
// executed, may it run now. Engine carries them out. Everything that it knows is
// in documents of the store, changed by transactions that look before they write:
// two engines on one store run each remediation at most once, and a budget is
// counted inside the transaction that starts a run. That a command is started is
// durable before it is executed. An engine that is lost leaves a lease that runs
// out: what it had started is unknown then, a person is paged, and it is run once
// more only when the remedy says that this does no harm.
//
// What executes commands is a Runner, what asks Prometheus a Prober, what pages a
// person a Pager: this package executes nothing itself.
package remediation
