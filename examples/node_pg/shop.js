// A shop that confirms each order by phone: the order and its call are one transaction.
'use strict';

const http = require('node:http');
const { Pool } = require('pg');

const BUSINESS_ID = Number(process.env.BUSINESS_ID ?? '1'); // `outbound business list`
const pool = new Pool({ connectionString: process.env.DATABASE_URL });

const MAKE_TABLE = `
  create table if not exists shop_order (
    id    bigint generated always as identity primary key,
    item  text not null,
    phone text not null
  )`;

// What the client can correct; the transaction is rolled back.
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Do something in a transaction: all of it is committed, or nothing where it throws.
async function inTransaction(work) {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const answer = await work(client);
    await client.query('commit');
    return answer;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

// Ask a function of outbound's, which answers with an object; one with a fault says why nothing was done.
async function ask(client, query, ...parameters) {
  const { rows } = await client.query(query, parameters);
  const answer = rows[0].answer;
  if (answer.fault) throw new Refused(422, answer.fault);
  return answer;
}

// Save an order and put its call in the queue: both, or neither.
async function takeOrder({ item, phone }) {
  return inTransaction(async (client) => {
    const { rows } = await client.query('insert into shop_order (item, phone) values ($1, $2) returning id', [item, phone]);
    const order = Number(rows[0].id);
    const call = await ask(client, 'select enqueue_call($1::jsonb) as answer', {
      business_id: BUSINESS_ID,
      to_number: phone,
      key: `order-${order}`,
      contact: { item },
    });
    // Without the key, no call of this order will come.
    if (!call.has_key) throw new Refused(409, 'another call to this phone is waiting or under way: the order was not taken');
    return { order, call: call.call_id };
  });
}

// Show where the call of an order stands.
async function showCall(order) {
  return inTransaction(async (client) => {
    const call = await callOf(client, order);
    const reason = await ask(client, 'select why($1::bigint) as answer', call.id);
    return { call: call.id, status: call.status, why: reason.sentence };
  });
}

// Delete an order and cancel its call: both, or neither.
async function cancelOrder(order) {
  return inTransaction(async (client) => {
    const call = await callOf(client, order);
    await client.query('delete from shop_order where id = $1', [order]);
    await ask(client, 'select cancel_call($1::bigint, $2::text) as answer', call.id, 'the order was canceled');
    return { order, canceled: true };
  });
}

// Find the call of an order by the key that it was given.
async function callOf(client, order) {
  const { rows } = await client.query(
    'select id, status from call_log where business_id = $1 and idempotency_key = $2',
    [BUSINESS_ID, `order-${order}`],
  );
  if (rows.length === 0) throw new Refused(404, 'no such order');
  return { id: Number(rows[0].id), status: rows[0].status };
}

// Read the order in the body of a request.
async function orderIn(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let given;
  try {
    given = JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    // It is no JSON; the next line refuses it.
  }
  if (typeof given?.item === 'string' && typeof given?.phone === 'string') return given;
  throw new Refused(400, 'give a JSON object with item and phone, each a text');
}

async function answer(request) {
  const [, order, call] = request.url.match(/^\/orders(?:\/(\d+)(\/call)?)?$/) ?? [];
  if (request.method === 'POST' && request.url === '/orders') return [201, await takeOrder(await orderIn(request))];
  if (request.method === 'GET' && call) return [200, await showCall(Number(order))];
  if (request.method === 'DELETE' && order && !call) return [200, await cancelOrder(Number(order))];
  throw new Refused(404, 'no such address');
}

async function main(port) {
  await pool.query(MAKE_TABLE);
  const server = http.createServer(async (request, response) => {
    let status, body;
    try {
      [status, body] = await answer(request);
    } catch (error) {
      if (!(error instanceof Refused)) console.error(error.code ?? error.name); // a message may hold a number
      [status, body] = error instanceof Refused ? [error.status, { error: error.message }] : [500, { error: 'try again' }];
    }
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  });
  server.listen(port, '127.0.0.1');
}

main(Number(process.argv[2]));
