package checker

import (
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"muster/jepsen/history"
)

// One instance as a register that can be absent. Instances of this set never expire and are never
// reaped, so nothing but the operations changes them.
type register struct {
	present     bool
	value       int
	incarnation uint64 // 0: unknown, because the write that set it reported nothing
	highest     uint64 // of all earlier ones: incarnations of an id always rise
}

// step returns every possible state of the register after the operation, or none if its answer is
// impossible.
func step(state register, op history.Op) []register {
	if op.Outcome == history.Unknown {
		return stepUnknown(state, op)
	}
	switch op.Kind {
	case history.Register, history.Update:
		return stepRegister(state, op)
	case history.Deregister:
		switch {
		case op.Status == 404 && !state.present:
			return []register{state}
		case op.Status == 409 && state.present && op.Said != 0 && (state.incarnation == 0 || state.incarnation != op.Said):
			return []register{state}
		case op.Status == 200 && state.present && (op.Said == 0 || state.incarnation == 0 || state.incarnation == op.Said):
			return []register{absent(state)}
		}
	case history.Heartbeat:
		if (op.Status == 200) == state.present && (op.Status == 200 || op.Status == 404) {
			return []register{state}
		}
	case history.Get:
		if op.Status == 404 && !state.present {
			return []register{state}
		}
		if op.Status == 200 && state.present && state.value == op.Value &&
			(state.incarnation == 0 || state.incarnation == op.Incarnation) {
			return []register{put(state, state.value, op.Incarnation)}
		}
	}
	return nil
}

func absent(state register) register { return register{highest: state.highest} }

func put(state register, value int, incarnation uint64) register {
	highest := state.highest
	if incarnation > highest {
		highest = incarnation
	}
	return register{present: true, value: value, incarnation: incarnation, highest: highest}
}

func stepRegister(state register, op history.Op) []register {
	created := op.Status == 201
	current := op.Said == 0 || state.incarnation == 0 || state.incarnation == op.Said
	switch {
	case op.Status == 409:
		if state.present && op.Said != 0 && (state.incarnation == 0 || state.incarnation != op.Said) {
			return []register{state}
		}
	case op.Status != 200 && op.Status != 201:
	case created == state.present:
	case !created && op.Said != 0:
		// The owner's update keeps its incarnation.
		if current && op.Incarnation == op.Said {
			return []register{put(state, op.Value, op.Incarnation)}
		}
	case op.Incarnation > state.highest:
		return []register{put(state, op.Value, op.Incarnation)}
	}
	return nil
}

func stepUnknown(state register, op history.Op) []register {
	switch op.Kind {
	case history.Register:
		return []register{put(state, op.Value, 0)}
	case history.Update:
		if op.Said == 0 || !state.present {
			return []register{put(state, op.Value, 0)}
		}
		if state.incarnation == 0 || state.incarnation == op.Said {
			return []register{put(state, op.Value, op.Said), state}
		}
	case history.Deregister:
		if state.present && (op.Said == 0 || state.incarnation == 0 || state.incarnation == op.Said) {
			return []register{absent(state), state}
		}
	}
	return []register{state}
}

func describe(input, _ interface{}) string {
	op := input.(history.Op)
	text := op.Kind
	if op.Kind == history.Register || op.Kind == history.Update {
		text += fmt.Sprintf(" %d", op.Value)
	}
	if op.Said != 0 {
		text += fmt.Sprintf(" @%d", op.Said)
	}
	if op.Outcome == history.Unknown {
		return text + ": unknown"
	}
	if op.Kind == history.Get && op.Status == 200 {
		return fmt.Sprintf("%s: %d @%d (replica %d)", text, op.Value, op.Incarnation, op.Replica)
	}
	return fmt.Sprintf("%s: %d @%d (replica %d)", text, op.Status, op.Incarnation, op.Replica)
}

// Model is the register for porcupine.
func Model() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []interface{} { return []interface{}{register{}} },
		Step: func(state, input, _ interface{}) []interface{} {
			next := []interface{}{}
			for _, s := range step(state.(register), input.(history.Op)) {
				next = append(next, s)
			}
			return next
		},
		Equal:             func(a, b interface{}) bool { return a.(register) == b.(register) },
		DescribeOperation: describe,
		DescribeState: func(state interface{}) string {
			s := state.(register)
			if !s.present {
				return "absent"
			}
			return fmt.Sprintf("%d @%d", s.value, s.incarnation)
		},
	}
	return model.ToModel()
}

// Registers are the operations on each id of the register set, in porcupine's form, without those that had no
// effect and returned nothing.
func Registers(h *history.History) map[string][]porcupine.Operation {
	clients := map[string]int{}
	found := map[string][]porcupine.Operation{}
	for _, op := range h.Ops {
		reads := op.Kind == history.Get || op.Kind == history.Heartbeat
		if op.Set != "reg" || op.Outcome == history.Refused || (op.Outcome == history.Unknown && reads) {
			continue
		}
		if _, there := clients[op.Client]; !there {
			clients[op.Client] = len(clients)
		}
		back := op.Return
		if op.Outcome == history.Unknown {
			back = math.MaxInt64 // it may still happen at any time
		}
		found[op.Key] = append(found[op.Key], porcupine.Operation{ClientId: clients[op.Client], Input: op,
			Call: op.Call, Output: nil, Return: back})
	}
	return found
}

const linearWithin = 20 * time.Second

// checkLinear: the history of each id is linearizable. A search that does not finish has not
// passed.
func checkLinear(h *history.History, r *Result) {
	registers := Registers(h)
	keys := []string{}
	for key := range registers {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	r.Figures["registers_checked"] = float64(len(keys))
	for _, key := range keys {
		operations := registers[key]
		r.Figures["register_operations"] += float64(len(operations))
		switch porcupine.CheckOperationsTimeout(Model(), operations, linearWithin) {
		case porcupine.Illegal:
			r.fail("linearizable", operations[0].Call, "%s: %d operations cannot be put into one order", key, len(operations))
		case porcupine.Unknown:
			r.Void = append(r.Void, fmt.Sprintf("%s: no verdict on its %d operations within %s", key, len(operations), linearWithin))
		}
	}
}
