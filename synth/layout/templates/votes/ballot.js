"use strict";
const page = JSON.parse(document.getElementById("page").textContent);
const shelf = "synth-votes-" + page.page;
const get = (id) => document.getElementById(id);
const PAUSE = 160; // milliseconds in which a choice is shown, and a second tap ignored

let ballot = remembered() || newBallot();
let waiting = false;

function newBallot() {
  const random = crypto.getRandomValues(new Uint32Array(5));
  const id = Array.from(random.slice(1), (part) => part.toString(16).padStart(8, "0")).join("");
  return { id, voter: "", begun: false, start: random[0] % page.rounds.length, votes: [], saved: -1 };
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(shelf));
  } catch {
    return null; // a browser that remembers nothing for files
  }
}

function remember() {
  try {
    localStorage.setItem(shelf, JSON.stringify(ballot));
  } catch {
    // the votes then last as long as the page is open
  }
}

// A ballot begins with a round of its own, so that over many ballots all pairs are seen equally often.
function pairs() {
  const turned = [...page.rounds.slice(ballot.start), ...page.rounds.slice(0, ballot.start)];
  return turned.flat().slice(0, page.pairs);
}

function show(name) {
  for (const id of ["start", "vote", "end"]) get(id).hidden = id !== name;
}

function draw() {
  remember();
  if (!ballot.begun) return show("start");
  const number = ballot.votes.length;
  if (ballot.stopped || number >= page.pairs) return drawEnd();
  const [left, right] = pairs()[number].map((place) => page.pictures[place]);
  get("phrase").textContent = "Which is the better \u201c" + page.phrases[left.phrase] + "\u201d?";
  get("count").textContent = number + 1 + " of " + page.pairs;
  get("done").style.width = (100 * number) / page.pairs + "%";
  get("done").parentElement.setAttribute("aria-valuenow", number);
  for (const [id, picture] of [["left", left], ["right", right]]) {
    get(id).classList.remove("chosen");
    get(id).firstChild.src = picture.data;
  }
  get("back").disabled = number === 0;
  show("vote");
}

function drawEnd() {
  const number = ballot.votes.length;
  get("thanks").textContent = "Thank you: " + number + (number === 1 ? " vote" : " votes");
  get("text").value = number ? exported() : "";
  get("save").disabled = number === 0;
  get("saved").textContent = ballot.saved === number ? "Saved as " + fileName() : "";
  get("next").hidden = ballot.saved !== number;
  show("end");
}

function choose(pick) {
  if (waiting || get("vote").hidden) return;
  const [left, right] = pairs()[ballot.votes.length].map((place) => page.pictures[place].key);
  ballot.votes.push([left, right, pick]);
  remember();
  if (pick !== "equal") get(pick).classList.add("chosen");
  waiting = true;
  setTimeout(() => { waiting = false; draw(); }, PAUSE);
}

function back() {
  if (waiting) return;
  if (ballot.stopped) ballot.stopped = false;
  else ballot.votes.pop();
  draw();
}

function exported() {
  const { id, voter, votes } = ballot;
  return JSON.stringify({ format: page.format, study: page.study, page: page.page, ballot: id, voter, votes }, null, 1);
}

function fileName() {
  return "votes-" + page.page.slice(0, 8) + "-" + ballot.id.slice(0, 8) + ".json";
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
  link.download = fileName();
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  ballot.saved = ballot.votes.length;
  draw();
}

get("begin").onclick = () => { ballot.voter = get("voter").value.trim(); ballot.begun = true; draw(); };
get("voter").onkeydown = (event) => { if (event.key === "Enter") get("begin").click(); };
get("left").onclick = () => choose("left");
get("right").onclick = () => choose("right");
get("equal").onclick = () => choose("equal");
get("back").onclick = back;
get("on").onclick = back;
get("stop").onclick = () => { if (!waiting) { ballot.stopped = true; draw(); } };
get("save").onclick = save;
get("text").onfocus = () => get("text").select();
get("next").onclick = () => { ballot = newBallot(); get("voter").value = ""; draw(); };
document.onkeydown = (event) => {
  if (get("vote").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const action = { ArrowLeft: () => choose("left"), ArrowRight: () => choose("right"), ArrowDown: () => choose("equal"), Backspace: back }[event.key];
  if (action) { event.preventDefault(); action(); }
};
draw();
