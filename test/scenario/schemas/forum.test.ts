import { expect, test } from 'vitest';
import { quoteIdent } from '../../../src/domain/identifier.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { migrateRebuilt } from '../../support/rebuilt-schema.ts';
import { onLeaves, partitioned, partitionedInDump, widened, widenedInDump } from '../../support/partitioning-differences.ts';
import { createRole } from '../../support/roles.ts';

/** A forum: posts with counters that triggers keep, full-text search, views on views, foreign keys both ways. */

const POSTS = 3_000;
/** Always the same number of months, whenever it runs. */
const FIRST = `(date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '70 days')`;

async function createForum(client: Client, owner: string, moderator: string, reader: string): Promise<void> {
  const [o, m, r] = [owner, moderator, reader].map(quoteIdent) as [string, string, string];
  await client.query(`
    create schema forum authorization ${o};
    comment on schema forum is 'what people say';
    grant usage on schema forum to ${m}, ${r};
    set role ${o};
    alter default privileges in schema forum grant select on tables to ${r};
    alter default privileges in schema forum grant usage on sequences to ${m};
    create type forum.post_kind as enum ('regular', 'moderator_action', 'whisper');
    create domain forum.handle as text check (value ~ '^[a-z0-9_]{2,40}$');
    create table forum.users (id serial primary key, username forum.handle not null unique, posts_count int not null default 0, trust_level smallint not null default 0);
    create table forum.topics (
      id serial primary key, title text not null, slug text, posts_count int not null default 0, highest_post_number int not null default 0,
      last_post_id int, last_posted_at timestamptz, closed boolean not null default false
    );
    create sequence forum.revision_seq;
    create table forum.posts (
      id serial,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      topic_id int not null,
      user_id int,
      post_number int not null,
      reply_to_post_number int,
      kind forum.post_kind not null default 'regular',
      raw text not null,
      cooked text not null,
      like_count int not null default 0,
      revision bigint not null default nextval('forum.revision_seq'),
      locale regconfig not null default 'english',
      search tsvector generated always as (setweight(to_tsvector('english', coalesce(raw, '')), 'A')) stored,
      deleted_at timestamptz,
      constraint posts_pkey primary key (id),
      constraint posts_topic_number unique (topic_id, post_number),
      constraint posts_id_created unique (id, created_at),
      constraint posts_topic_fk foreign key (topic_id) references forum.topics on delete cascade,
      constraint posts_user_fk foreign key (user_id) references forum.users on update cascade on delete set null deferrable initially deferred,
      constraint raw_has_length check (length(raw) > 0),
      constraint number_positive check (post_number > 0)
    ) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.1);
    alter table forum.posts add constraint old_posts_are_short check (length(raw) < 20000) not valid;
    alter table forum.posts alter column user_id set statistics 500, alter column topic_id set (n_distinct = -0.2), alter column cooked set storage external;
    create table forum.post_likes (
      post_id int not null, post_created_at timestamptz not null, user_id int not null references forum.users, created_at timestamptz not null default now(),
      primary key (post_id, user_id),
      constraint likes_post_fk foreign key (post_id) references forum.posts on delete cascade
    );
    create table forum.bookmarks (
      id int generated always as identity primary key, post_id int, post_created_at timestamptz, note text,
      constraint bookmarks_post_fk foreign key (post_id, post_created_at) references forum.posts (id, created_at) on delete set null on update cascade
    );
    comment on constraint bookmarks_post_fk on forum.bookmarks is 'a bookmark outlives its post';
    alter table forum.topics add constraint topics_last_post_fk foreign key (last_post_id) references forum.posts deferrable initially deferred;

    create index posts_search on forum.posts using gin (search) with (fastupdate = off);
    create index posts_by_topic on forum.posts (topic_id, post_number) include (user_id) where deleted_at is null;
    create index posts_recent on forum.posts (created_at desc nulls last);
    create index "posts Lower" on forum.posts (lower(raw) text_pattern_ops) with (fillfactor = 80);
    alter index forum."posts Lower" alter column 1 set statistics 300;
    alter table forum.posts cluster on posts_recent;
    create statistics forum.posts_topic_user (ndistinct, dependencies) on topic_id, user_id from forum.posts;
    comment on statistics forum.posts_topic_user is 'few people per topic';
    comment on table forum.posts is 'every post';
    comment on column forum.posts.cooked is 'HTML';
    comment on index forum.posts_search is 'for the search page';
    comment on constraint posts_topic_number on forum.posts is 'the number in its topic';
    comment on constraint raw_has_length on forum.posts is 'no empty posts';
    comment on constraint posts_topic_fk on forum.posts is 'its topic';
    comment on sequence forum.posts_id_seq is 'ids';

    create function forum.number_post() returns trigger language plpgsql as $$
      begin
        update forum.topics set highest_post_number = highest_post_number + 1 where id = new.topic_id returning highest_post_number into new.post_number;
        return new;
      end $$;
    create function forum.count_posts() returns trigger language plpgsql security definer set search_path = '' as $$
      begin
        if tg_op <> 'INSERT' then
          update forum.topics set posts_count = posts_count - 1 where id = old.topic_id;
          update forum.topics t set last_post_id = (select max(p.id) from forum.posts p where p.topic_id = t.id) where last_post_id = old.id;
          update forum.users set posts_count = posts_count - 1 where id = old.user_id;
        end if;
        if tg_op <> 'DELETE' then
          update forum.topics set posts_count = posts_count + 1, last_post_id = new.id, last_posted_at = new.created_at where id = new.topic_id;
          update forum.users set posts_count = posts_count + 1 where id = new.user_id;
        end if;
        return null;
      end $$;
    create function forum.touch() returns trigger language plpgsql as $$ begin new.updated_at := clock_timestamp(); new.revision := nextval('forum.revision_seq'); return new; end $$;
    create function forum.count_likes() returns trigger language plpgsql as $$
      begin update forum.posts set like_count = like_count + 1 where id = new.post_id and created_at = new.post_created_at; return null; end $$;
    create function forum.refuse_closed() returns trigger language plpgsql as $$
      begin if (select closed from forum.topics where id = new.topic_id) then raise 'topic % is closed', new.topic_id; end if; return new; end $$;
    create trigger a_refuse_closed before insert on forum.posts for each row execute function forum.refuse_closed();
    create trigger number_post before insert on forum.posts for each row when (new.post_number is null) execute function forum.number_post();
    create trigger touch before update of raw, cooked on forum.posts for each row when (old.raw is distinct from new.raw) execute function forum.touch();
    create trigger count_posts after insert or delete or update of topic_id, user_id on forum.posts for each row execute function forum.count_posts();
    create trigger old_notify after insert on forum.posts for each statement execute function forum.touch();
    alter table forum.posts disable trigger old_notify;
    comment on trigger count_posts on forum.posts is 'counters of topics and users';
    create trigger count_likes after insert on forum.post_likes for each row execute function forum.count_likes();

    create view forum.visible_posts with (security_barrier = true) as
      select p.id, p.created_at, p.topic_id, p.user_id, p.post_number, p.raw, p.search from forum.posts p where p.deleted_at is null and p.kind <> 'whisper';
    create view forum.latest as select distinct on (v.topic_id) v.topic_id, v.id as post_id, v.created_at, u.username
      from forum.visible_posts v left join forum.users u on u.id = v.user_id order by v.topic_id, v.post_number desc;
    create view forum.activity as select t.id, t.title, l.username, l.created_at, (select count(*) from forum.posts p where p.topic_id = t.id) as posts
      from forum.topics t left join forum.latest l on l.topic_id = t.id;
    create view forum.editable with (check_option = cascaded) as select id, created_at, topic_id, user_id, post_number, raw, cooked from forum.posts where kind = 'regular';
    comment on view forum.activity is 'the front page';
    comment on column forum.activity.posts is 'with deleted ones';
    create function forum.search(query text) returns table (id int, rank real) language sql stable
      begin atomic select p.id, ts_rank(p.search, websearch_to_tsquery('english', query)) from forum.posts p where p.search @@ websearch_to_tsquery('english', query) order by 2 desc, 1 limit 20; end;
    create function forum.posts_of(wanted int) returns bigint language sql stable return (select count(*) from forum.visible_posts where user_id = wanted);
    comment on function forum.search(text) is 'the search page';
    -- Found by the application's search path, which is not that of the migration.
    set check_function_bodies = off;
    create function forum.replies(forum.posts) returns bigint language sql stable
      as 'select count(*) from posts p where p.topic_id = $1.topic_id and p.reply_to_post_number = $1.post_number';
    reset check_function_bodies;

    insert into forum.users (username) select 'user_' || n from generate_series(1, 50) n;
    insert into forum.topics (title) select 'Topic ' || n from generate_series(1, 100) n;
    insert into forum.posts (created_at, topic_id, user_id, raw, cooked, kind)
      select ${FIRST} + n * interval '30 minutes', 1 + n % 100, 1 + n % 50, 'post ' || n || ' about ' || (array['cats', 'dogs', 'birds'])[1 + n % 3], repeat('<p>', 1 + n % 1000), case when n % 50 = 0 then 'whisper' else 'regular' end::forum.post_kind
      from generate_series(1, ${String(POSTS)}) n;
    insert into forum.post_likes (post_id, post_created_at, user_id) select id, created_at, 1 + id % 50 from forum.posts where id % 10 = 0;
    insert into forum.bookmarks (post_id, post_created_at) select id, created_at from forum.posts where id % 25 = 0;
    grant select, insert, update on forum.posts to ${m} with grant option;
    grant delete on forum.posts to ${m};
    grant select (id, topic_id, raw), update (raw) on forum.posts to ${r};
    revoke truncate on forum.posts from ${o};
    grant select on forum.visible_posts, forum.latest to ${r};
    reset role;`);
  await client.query('vacuum analyze forum.posts');
}

test('a forum: its posts by month', async () => {
  await using database = await createDatabase();
  const owner = await createRole(database, 'nologin', ['create']);
  const moderator = await createRole(database, 'nologin', []);
  const reader = await createRole(database, 'nologin', []);
  await migrateRebuilt(database, {
    schemas: ['forum'],
    table: 'forum.posts',
    plan: {
      range: 'created_at',
      decisions: {
        'unique:posts_topic_number': 'widen',
        'foreign-key:forum.post_likes.likes_post_fk': 'widen:post_created_at',
        'foreign-key:forum.topics.topics_last_post_fk': 'drop',
      },
    },
    create: (client) => createForum(client, owner.name, moderator.name, reader.name),
    write: [
      ({ run }) =>
        run(
          `insert into forum.posts (created_at, topic_id, user_id, raw, cooked) values (now() - interval '1 month', 99, 1, 'from the writer', 'x')`,
        ),
      ({ run }) => run(`update forum.posts set raw = raw || '!' where id = (select max(id) from forum.posts where topic_id = 99)`),
      ({ run }) =>
        run(`update forum.posts set topic_id = 98 where id = (select min(id) from forum.posts where topic_id = 99 and raw ~ 'writer')`),
      ({ run }) =>
        run(
          `insert into forum.bookmarks (post_id, post_created_at, note) select id, created_at, 'writer' from forum.posts where topic_id = 98 and raw ~ 'writer' order by id limit 1`,
        ),
      ({ run }) => run(`delete from forum.posts where id = (select min(id) from forum.posts where topic_id = 98 and raw ~ 'writer')`),
    ],
    look: async ({ run, client }) => ({
      found: await run('select * from forum.search($1)', ['birds']),
      topic: await run('select id, post_number, raw, cooked, search, kind from forum.posts where topic_id = $1 order by post_number', [7]),
      page: await run('select * from forum.activity where id = $1', [9]),
      own: await run('select forum.posts_of($1)', [3]),
      replies: await client
        .query(`set search_path = forum; select forum.replies(p) from forum.posts p where id = 3; reset search_path`)
        .then(() => 'counted'),
    }),
    act: async ({ run, refused }) => {
      const counters = `select t.posts_count - (select count(*) from forum.posts p where p.topic_id = t.id) as off, t.posts_count from forum.topics t where t.id = 50`;
      const [was] = await run<{ posts_count: number }>(counters);
      const [made] = await run<{ id: number; post_number: number; created_at: Date }>(
        `insert into forum.posts (topic_id, user_id, raw, cooked) values (50, 9, 'new', 'new') returning id, post_number, created_at`,
      );
      expect(await run(counters)).toEqual([{ off: '0', posts_count: was!.posts_count + 1 }]);
      await run(
        'insert into forum.post_likes (post_id, post_created_at, user_id) select id, created_at, 3 from forum.posts where id = $1',
        [made!.id],
      );
      expect(await run('select like_count from forum.posts where id = $1', [made!.id])).toEqual([{ like_count: 1 }]);
      expect(await refused(`insert into forum.posts (topic_id, post_number, raw, cooked) values (-1, 1, 'x', 'x')`)).toBe('23503');
      expect(await refused(`insert into forum.posts (topic_id, raw, cooked) values (50, '', 'x')`)).toBe('23514');
      expect(await refused(`insert into forum.post_likes (post_id, post_created_at, user_id) values (-1, now(), 3)`)).toBe('23503');
      await run('delete from forum.posts where id = $1', [made!.id]);
      expect(await run('select 1 from forum.post_likes where post_id = $1', [made!.id])).toEqual([]);
      expect(await run(counters)).toEqual([{ off: '0', posts_count: was!.posts_count }]);
    },
    allowed: [
      ...partitioned('forum.posts', { options: true }),
      ...widened('forum.posts', 'posts_pkey', 'created_at'),
      ...widened('forum.posts', 'posts_topic_number', 'created_at'),
      { pattern: /^- (dependency: )?constraint .*topics_last_post_fk/, reason: 'dropped, as decided' },
      {
        pattern:
          /^~ constraint forum.post_likes.likes_post_fk.definition: .* -> "FOREIGN KEY \(post_id, post_created_at\) REFERENCES forum.posts\(id, created_at\) ON DELETE CASCADE"$/,
        reason: 'widened, as decided',
      },
      { pattern: /^\+ dependency: constraint likes_post_fk .* -> column (post_)?created_at of table/, reason: 'widened, as decided' },
      {
        pattern: /^. dependency: constraint bookmarks_post_fk .* -> index forum.posts_/,
        reason: 'two unique constraints hold what it references: either serves it',
      },
      {
        pattern: /^~ index forum.posts_recent.flags: \[true,true,true,.* -> \[true,true,false,/,
        reason: 'CLUSTER goes by the mark of the leaves: a partitioned table takes none',
      },
    ],
    allowedOnLeaves: [
      ...onLeaves('forum.posts', { comments: true, privileges: true, foreignKeys: true, statementTriggers: true }),
      ...widened('forum.posts', 'posts_pkey', 'created_at', { onLeaf: true }),
      ...widened('forum.posts', 'posts_topic_number', 'created_at', { onLeaf: true }),
    ],
    allowedInDump: [
      ...partitionedInDump('forum.posts', { options: true }),
      widenedInDump('forum.posts', 'posts_pkey', 'created_at'),
      widenedInDump('forum.posts', 'posts_topic_number', 'created_at'),
      { pattern: /^- topics topics_last_post_fk; Type: FK CONSTRAINT/, reason: 'dropped, as decided' },
      { pattern: /^~ post_likes likes_post_fk; Type: FK CONSTRAINT: .*\(post_id, post_created_at\)/, reason: 'widened, as decided' },
      {
        pattern: /^~ posts_recent; Type: INDEX: (.*;) ALTER TABLE forum.posts CLUSTER ON posts_recent; -> \1$/,
        reason: 'CLUSTER goes by the mark of the leaves',
      },
    ],
  });
});
