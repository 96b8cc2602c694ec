// A shop that confirms each order by phone: the order and its call are one transaction.
package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	_ "github.com/lib/pq"
)

const makeTable = `
create table if not exists shop_order (
    id    bigint generated always as identity primary key,
    item  text not null,
    phone text not null
)`

// refused is what the client can correct; the transaction is rolled back.
type refused struct {
	status   int
	sentence string
}

func (r refused) Error() string { return r.sentence }

type shop struct {
	db       *sql.DB
	business int64 // `outbound business list`
}

type object = map[string]any

// inTransaction commits all that work does, or nothing where it returns an error.
func (s shop) inTransaction(work func(*sql.Tx) (object, error)) (object, error) {
	tx, err := s.db.Begin()
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // does nothing after a commit
	answer, err := work(tx)
	if err != nil {
		return nil, err
	}
	return answer, tx.Commit()
}

// ask calls a function of outbound's, which answers with an object; one with a fault says why nothing was done.
func ask(tx *sql.Tx, query string, parameters ...any) (object, error) {
	var text []byte
	if err := tx.QueryRow(query, parameters...).Scan(&text); err != nil {
		return nil, err
	}
	var answer object
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if fault, isRefused := answer["fault"].(string); isRefused {
		return nil, refused{http.StatusUnprocessableEntity, fault}
	}
	return answer, nil
}

// takeOrder saves an order and puts its call in the queue: both, or neither.
func (s shop) takeOrder(item, phone string) (object, error) {
	return s.inTransaction(func(tx *sql.Tx) (object, error) {
		var order int64
		insert := "insert into shop_order (item, phone) values ($1, $2) returning id"
		if err := tx.QueryRow(insert, item, phone).Scan(&order); err != nil {
			return nil, err
		}
		given, err := json.Marshal(object{
			"business_id": s.business, "to_number": phone, "key": keyOf(order), "contact": object{"item": item},
		})
		if err != nil {
			return nil, err
		}
		call, err := ask(tx, "select enqueue_call($1::jsonb)", string(given))
		if err != nil {
			return nil, err
		}
		if call["has_key"] != true { // no call of this order will come
			sentence := "another call to this phone is waiting or under way: the order was not taken"
			return nil, refused{http.StatusConflict, sentence}
		}
		return object{"order": order, "call": call["call_id"]}, nil
	})
}

// showCall shows where the call of an order stands.
func (s shop) showCall(order int64) (object, error) {
	return s.inTransaction(func(tx *sql.Tx) (object, error) {
		call, status, err := s.callOf(tx, order)
		if err != nil {
			return nil, err
		}
		reason, err := ask(tx, "select why($1::bigint)", call)
		return object{"call": call, "status": status, "why": reason["sentence"]}, err
	})
}

// cancelOrder deletes an order and cancels its call: both, or neither.
func (s shop) cancelOrder(order int64) (object, error) {
	return s.inTransaction(func(tx *sql.Tx) (object, error) {
		call, _, err := s.callOf(tx, order)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec("delete from shop_order where id = $1", order); err != nil {
			return nil, err
		}
		_, err = ask(tx, "select cancel_call($1::bigint, $2::text)", call, "the order was canceled")
		return object{"order": order, "canceled": true}, err
	})
}

// callOf finds the call of an order by the key that it was given.
func (s shop) callOf(tx *sql.Tx, order int64) (id int64, status string, err error) {
	query := "select id, status from call_log where business_id = $1 and idempotency_key = $2"
	err = tx.QueryRow(query, s.business, keyOf(order)).Scan(&id, &status)
	if errors.Is(err, sql.ErrNoRows) {
		err = refused{http.StatusNotFound, "no such order"}
	}
	return id, status, err
}

func keyOf(order int64) string { return fmt.Sprintf("order-%d", order) }

// ServeHTTP answers the requests that ../README.md lists.
func (s shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	answer, err := object(nil), error(refused{http.StatusNotFound, "no such address"})
	words := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	order := int64(0)
	if len(words) > 1 {
		order, _ = strconv.ParseInt(words[1], 10, 64)
	}
	switch {
	case r.Method == http.MethodPost && len(words) == 1 && words[0] == "orders":
		var given struct{ Item, Phone string }
		if json.NewDecoder(r.Body).Decode(&given) != nil || given.Item == "" || given.Phone == "" {
			err = refused{http.StatusBadRequest, "give a JSON object with item and phone, each a text"}
		} else {
			status = http.StatusCreated
			answer, err = s.takeOrder(given.Item, given.Phone)
		}
	case r.Method == http.MethodGet && len(words) == 3 && words[0] == "orders" && words[2] == "call":
		answer, err = s.showCall(order)
	case r.Method == http.MethodDelete && len(words) == 2 && words[0] == "orders":
		answer, err = s.cancelOrder(order)
	}
	var why refused
	switch {
	case errors.As(err, &why):
		status, answer = why.status, object{"error": why.sentence}
	case err != nil:
		log.Printf("%T", err) // its text may hold a number
		status, answer = http.StatusInternalServerError, object{"error": "try again"}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(answer)
}

func main() {
	business, err := strconv.ParseInt(os.Getenv("BUSINESS_ID"), 10, 64)
	if err != nil {
		business = 1
	}
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal("DATABASE_URL is no address of PostgreSQL")
	}
	if _, err := db.Exec(makeTable); err != nil {
		log.Fatal("the table of orders cannot be made: is DATABASE_URL right?")
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], shop{db, business}))
}
