//! The queries that describe a database: each returns kind, name, attribute and value; no attribute where it is NULL.
//! One table: what weir compares is what stands here.

/// Schemas that are people's.
const PEOPLE: &str = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/// No extension made the object `oid` of the catalogue `class`.
fn no_extension(class: &str, oid: &str) -> String {
    format!(
        "not exists (select from pg_depend dep where dep.classid = '{class}'::regclass and dep.objid = {oid} and dep.deptype = 'e')"
    )
}

/// Privileges as `role=SELECT,INSERT*; …`; `*`: it may grant them on.
fn grants(acl: &str, kind: &str, owner: &str) -> String {
    format!(
        "(select string_agg(who || '=' || what, '; ' order by who) from (
             select case x.grantee when 0 then 'PUBLIC' else quote_ident(pg_get_userbyid(x.grantee)) end collate \"C\" as who,
                    string_agg(distinct x.privilege_type || case when x.is_grantable then '*' else '' end, ','
                        order by x.privilege_type || case when x.is_grantable then '*' else '' end) as what
             from aclexplode(coalesce({acl}, acldefault('{kind}'::\"char\", {owner}))) x group by 1) granted)"
    )
}

/// A query of objects with attributes: `from` gives the rows; kind and name are expressions.
fn query(kind: &str, name: &str, attributes: &[(&str, &str)], from: &str) -> String {
    let values: Vec<String> = attributes.iter().map(|(name, value)| format!("('{name}', ({value})::text)")).collect();
    format!(
        "select {kind}, {name}, fact.name, fact.value from {from_} cross join lateral (values {values}) as fact(name, value)
         {filter}",
        from_ = from.split(" where ").next().unwrap_or(from),
        values = values.join(", "),
        filter = from.split_once(" where ").map_or(String::new(), |(_, filter)| format!("where {filter}")),
    )
}

/// All of them. `own` holds of weir's own tables, as `n` and `c`.
pub fn all(own: &str) -> Vec<String> {
    let mut all = relations(own);
    all.extend(parts_of_relations(own));
    all.extend(programs(own));
    all.extend(types());
    all.extend(others());
    all
}

const RELATION: &str = "case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view'
    when 'm' then 'materialized view' when 'f' then 'foreign table' when 'S' then 'sequence' end";
const NAME: &str = "format('%I.%I', n.nspname, c.relname)";

fn relations(own: &str) -> Vec<String> {
    let (tables, sequences) = (grants("c.relacl", "r", "c.relowner"), grants("c.relacl", "s", "c.relowner"));
    let extension = no_extension("pg_class", "c.oid");
    // A sequence of one of weir's own tables is weir's own.
    let of_own = format!(
        "not exists (select from pg_depend od join pg_class c on c.oid = od.refobjid join pg_namespace n on n.oid = c.relnamespace
                     where od.classid = 'pg_class'::regclass and od.objid = s.seqrelid and od.deptype in ('a', 'i') and {own})"
    );
    vec![
        query(
            RELATION,
            NAME,
            &[
                ("owner", "pg_get_userbyid(c.relowner)"),
                ("grants", &tables),
                ("comment", "obj_description(c.oid, 'pg_class')"),
                (
                    "columns",
                    "select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a
                     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped",
                ),
                ("persistence", "nullif(c.relpersistence, 'p')"),
                ("row security", "case when c.relrowsecurity then 'enabled' end"),
                ("forced row security", "case when c.relforcerowsecurity then 'forced' end"),
                (
                    "replica identity",
                    "nullif(c.relreplident, case when c.relkind in ('r', 'p') then 'd' else 'n' end::\"char\")",
                ),
                (
                    "options",
                    "nullif(array_to_string(array(select unnest(c.reloptions) collate \"C\" order by 1), ', '), '')",
                ),
                ("partition key", "pg_get_partkeydef(c.oid)"),
                ("partition bound", "pg_get_expr(c.relpartbound, c.oid)"),
                ("access method", "select am.amname from pg_am am where am.oid = c.relam and am.amname <> 'heap'"),
                ("tablespace", "select t.spcname from pg_tablespace t where t.oid = c.reltablespace"),
                (
                    "inherits",
                    "select string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
                     from pg_inherits i where i.inhrelid = c.oid",
                ),
                ("of type", "select t.oid::regtype from pg_type t where t.oid = c.reloftype"),
                (
                    "server",
                    "select fs.srvname from pg_foreign_table ft join pg_foreign_server fs on fs.oid = ft.ftserver
                     where ft.ftrelid = c.oid",
                ),
                ("definition", "case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end"),
            ],
            &format!(
                "pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f')
                 and {PEOPLE} and not ({own}) and {extension}"
            ),
        ),
        query(
            RELATION,
            NAME,
            &[
                ("owner", "pg_get_userbyid(c.relowner)"),
                ("grants", &sequences),
                ("comment", "obj_description(c.oid, 'pg_class')"),
                (
                    "definition",
                    "format('%s start %s increment %s min %s max %s cache %s%s', s.seqtypid::regtype, s.seqstart,
                     s.seqincrement, s.seqmin, s.seqmax, s.seqcache, case when s.seqcycle then ' cycle' else '' end)",
                ),
                ("persistence", "nullif(c.relpersistence, 'p')"),
                (
                    "owned by",
                    "select format('%s.%I', d.refobjid::regclass, a.attname) from pg_depend d join pg_attribute a
                     on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                     where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')",
                ),
            ],
            &format!(
                "pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
                 where {PEOPLE} and not ({own}) and {extension} and {of_own}"
            ),
        ),
    ]
}

fn parts_of_relations(own: &str) -> Vec<String> {
    let mine = format!("{PEOPLE} and not ({own}) and {}", no_extension("pg_class", "c.oid"));
    let columns = "(select string_agg(who || '=' || what, '; ' order by who) from (
             select case x.grantee when 0 then 'PUBLIC' else quote_ident(pg_get_userbyid(x.grantee)) end collate \"C\" as who,
                    string_agg(distinct x.privilege_type || case when x.is_grantable then '*' else '' end, ','
                        order by x.privilege_type || case when x.is_grantable then '*' else '' end) as what
             from aclexplode(a.attacl) x group by 1) granted)";
    let on = |name: &str| format!("format('%I on %I.%I', {name}, n.nspname, c.relname)");
    vec![
        query(
            "'column'",
            "format('%I.%I.%I', n.nspname, c.relname, a.attname)",
            &[
                ("type", "format_type(a.atttypid, a.atttypmod)"),
                ("not null", "case when a.attnotnull then 'not null' end"),
                ("default", "case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end"),
                ("generated", "case when a.attgenerated <> '' then a.attgenerated::text || ' ' || pg_get_expr(d.adbin, d.adrelid) end"),
                ("identity", "case a.attidentity when 'a' then 'always' when 'd' then 'by default' end"),
                ("collation", "select format('%I.%I', cn.nspname, co.collname) from pg_collation co join pg_namespace cn
                     on cn.oid = co.collnamespace join pg_type ty on ty.oid = a.atttypid
                     where co.oid = a.attcollation and a.attcollation <> ty.typcollation"),
                ("storage", "select a.attstorage from pg_type ty where ty.oid = a.atttypid and ty.typstorage <> a.attstorage"),
                ("compression", "nullif(a.attcompression, '')"),
                ("statistics", "nullif(a.attstattarget, -1)"),
                ("options", "array_to_string(a.attoptions, ', ')"),
                ("grants", columns),
                ("comment", "col_description(c.oid, a.attnum)"),
            ],
            &format!("pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
                 left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                 where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and {mine}"),
        ),
        query(
            "'constraint'",
            &on("k.conname"),
            &[
                ("definition", "pg_get_constraintdef(k.oid)"),
                ("validated", "case when not k.convalidated then 'not validated' end"),
                ("comment", "obj_description(k.oid, 'pg_constraint')"),
            ],
            &format!("pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
                 where k.contype <> 't' and {mine}"),
        ),
        query(
            "'index'",
            "format('%I.%I', n.nspname, ic.relname)",
            &[
                ("definition", "pg_get_indexdef(i.indexrelid)"),
                ("valid", "case when not i.indisvalid then 'invalid' end"),
                ("clustered", "case when i.indisclustered then 'clustered' end"),
                ("replica identity", "case when i.indisreplident then 'replica identity' end"),
                ("comment", "obj_description(i.indexrelid, 'pg_class')"),
            ],
            &format!("pg_index i join pg_class c on c.oid = i.indrelid join pg_class ic on ic.oid = i.indexrelid
                 join pg_namespace n on n.oid = c.relnamespace where {mine}"),
        ),
        query(
            "'trigger'",
            &on("t.tgname"),
            &[
                ("definition", "pg_get_triggerdef(t.oid)"),
                ("enabled", "case t.tgenabled when 'O' then 'enabled' when 'D' then 'disabled' when 'R' then 'on a replica only'
                     when 'A' then 'always' end"),
                ("comment", "obj_description(t.oid, 'pg_trigger')"),
            ],
            &format!("pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
                 where not t.tgisinternal and {mine}"),
        ),
        query(
            "'policy'",
            &on("p.polname"),
            &[
                ("command", "p.polcmd"),
                ("kind", "case when p.polpermissive then 'permissive' else 'restrictive' end"),
                ("roles", "select string_agg(case r when 0 then 'PUBLIC' else quote_ident(pg_get_userbyid(r)) end, ', '
                     order by pg_get_userbyid(r)) from unnest(p.polroles) r"),
                ("using", "pg_get_expr(p.polqual, p.polrelid)"),
                ("check", "pg_get_expr(p.polwithcheck, p.polrelid)"),
                ("comment", "obj_description(p.oid, 'pg_policy')"),
            ],
            &format!("pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where {mine}"),
        ),
        query(
            "'rule'",
            &on("r.rulename"),
            &[("definition", "pg_get_ruledef(r.oid)"), ("enabled", "r.ev_enabled")],
            &format!("pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
                 where r.rulename <> '_RETURN' and {mine}"),
        ),
        query(
            "'statistics'",
            "format('%I.%I', n.nspname, st.stxname)",
            &[("definition", "pg_get_statisticsobjdef(st.oid)"), ("owner", "pg_get_userbyid(st.stxowner)")],
            &format!("pg_statistic_ext st join pg_class c on c.oid = st.stxrelid join pg_namespace n on n.oid = st.stxnamespace where {mine}"),
        ),
    ]
}

fn programs(_own: &str) -> Vec<String> {
    let granted = grants("f.proacl", "f", "f.proowner");
    let name = "format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid))";
    let kind = "case f.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end";
    vec![query(
        kind,
        name,
        &[
            ("owner", "pg_get_userbyid(f.proowner)"),
            ("grants", &granted),
            ("comment", "obj_description(f.oid, 'pg_proc')"),
            ("definition", "case when f.prokind <> 'a' then pg_get_functiondef(f.oid) end"),
            (
                "aggregate",
                "select format('%s %s %s %s', g.aggtransfn, g.aggfinalfn, g.aggtranstype::regtype, g.agginitval)
                 from pg_aggregate g where g.aggfnoid = f.oid",
            ),
        ],
        &format!(
            "pg_proc f join pg_namespace n on n.oid = f.pronamespace where {PEOPLE} and {}",
            no_extension("pg_proc", "f.oid")
        ),
    )]
}

fn types() -> Vec<String> {
    let granted = grants("t.typacl", "T", "t.typowner");
    let mine = format!("{PEOPLE} and {}", no_extension("pg_type", "t.oid"));
    vec![
        query(
            "case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range' else 'type' end",
            "format('%I.%I', n.nspname, t.typname)",
            &[
                ("owner", "pg_get_userbyid(t.typowner)"),
                ("grants", &granted),
                ("comment", "obj_description(t.oid, 'pg_type')"),
                ("labels", "select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e
                     where e.enumtypid = t.oid"),
                ("of", "case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end"),
                ("not null", "case when t.typnotnull then 'not null' end"),
                ("default", "t.typdefault"),
                ("subtype", "select r.rngsubtype::regtype from pg_range r where r.rngtypid = t.oid"),
                ("columns", "select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a
                     where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped"),
            ],
            &format!("pg_type t join pg_namespace n on n.oid = t.typnamespace where (t.typtype in ('e', 'd', 'r')
                 or t.typtype = 'c' and exists (select from pg_class k where k.oid = t.typrelid and k.relkind = 'c')) and {mine}"),
        ),
        query(
            "'constraint'",
            "format('%I on domain %I.%I', k.conname, n.nspname, t.typname)",
            &[("definition", "pg_get_constraintdef(k.oid)"), ("validated", "case when not k.convalidated then 'not validated' end")],
            &format!("pg_constraint k join pg_type t on t.oid = k.contypid join pg_namespace n on n.oid = t.typnamespace where {mine}"),
        ),
    ]
}

fn others() -> Vec<String> {
    let schemas = grants("n.nspacl", "n", "n.nspowner");
    let language = grants("l.lanacl", "l", "l.lanowner");
    let server = grants("s.srvacl", "S", "s.srvowner");
    let simple = |kind: &str, class: &str, prefix: &str| {
        query(
            &format!("'{kind}'"),
            &format!("format('%I.%I', n.nspname, o.{prefix}name)"),
            &[
                ("owner", &format!("pg_get_userbyid(o.{prefix}owner)")),
                ("comment", &format!("obj_description(o.oid, '{class}')")),
            ],
            &format!(
                "{class} o join pg_namespace n on n.oid = o.{prefix}namespace where {PEOPLE} and {}",
                no_extension(class, "o.oid")
            ),
        )
    };
    vec![
        query(
            "'schema'",
            "quote_ident(n.nspname)",
            &[
                ("owner", "pg_get_userbyid(n.nspowner)"),
                ("grants", &schemas),
                // That of `public` is the server's own.
                ("comment", "nullif(obj_description(n.oid, 'pg_namespace'), 'standard public schema')"),
            ],
            &format!("pg_namespace n where {PEOPLE} and {}", no_extension("pg_namespace", "n.oid")),
        ),
        query(
            "'extension'",
            "quote_ident(e.extname)",
            &[("version", "e.extversion"), ("schema", "e.extnamespace::regnamespace")],
            "pg_extension e where true",
        ),
        query(
            "'default privileges'",
            "format('of %I for %s%s', pg_get_userbyid(d.defaclrole), case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences'
                 when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas' else d.defaclobjtype::text end,
                 case when d.defaclnamespace <> 0 then format(' in %s', d.defaclnamespace::regnamespace) else '' end)",
            &[("grants", "select string_agg(format('%s=%s%s', case x.grantee when 0 then 'PUBLIC' else quote_ident(pg_get_userbyid(x.grantee)) end,
                 x.privilege_type, case when x.is_grantable then '*' else '' end), '; ' order by
                 case x.grantee when 0 then 'PUBLIC' else quote_ident(pg_get_userbyid(x.grantee)) end collate \"C\", x.privilege_type)
                 from aclexplode(d.defaclacl) x")],
            "pg_default_acl d where true",
        ),
        query(
            "'event trigger'",
            "quote_ident(e.evtname)",
            &[
                ("event", "e.evtevent"),
                ("function", "e.evtfoid::regprocedure"),
                ("enabled", "e.evtenabled"),
                ("tags", "array_to_string(e.evttags, ', ')"),
                ("owner", "pg_get_userbyid(e.evtowner)"),
            ],
            &format!("pg_event_trigger e where {}", no_extension("pg_event_trigger", "e.oid")),
        ),
        query(
            "'operator'",
            "o.oid::regoperator::text",
            &[
                ("function", "o.oprcode::regprocedure"),
                ("owner", "pg_get_userbyid(o.oprowner)"),
                ("options", "format('%s %s %s %s %s %s', o.oprcom::regoperator, o.oprnegate::regoperator, o.oprrest, o.oprjoin,
                     o.oprcanmerge, o.oprcanhash)"),
            ],
            &format!("pg_operator o join pg_namespace n on n.oid = o.oprnamespace where {PEOPLE} and {}", no_extension("pg_operator", "o.oid")),
        ),
        query(
            "'cast'",
            "format('%s as %s', k.castsource::regtype, k.casttarget::regtype)",
            &[("function", "nullif(k.castfunc, 0)::regprocedure"), ("context", "k.castcontext"), ("method", "k.castmethod")],
            &format!("pg_cast k where k.oid >= 16384 and {}", no_extension("pg_cast", "k.oid")),
        ),
        query(
            "'language'",
            "quote_ident(l.lanname)",
            &[("owner", "pg_get_userbyid(l.lanowner)"), ("grants", &language)],
            "pg_language l where l.lanispl",
        ),
        query(
            "'server'",
            "quote_ident(s.srvname)",
            &[("owner", "pg_get_userbyid(s.srvowner)"), ("grants", &server), ("options", "array_to_string(s.srvoptions, ', ')")],
            &format!("pg_foreign_server s where {}", no_extension("pg_foreign_server", "s.oid")),
        ),
        query(
            "'publication'",
            "quote_ident(p.pubname)",
            &[
                ("owner", "pg_get_userbyid(p.pubowner)"),
                ("options", "format('all tables %s, insert %s, update %s, delete %s, truncate %s', p.puballtables, p.pubinsert,
                     p.pubupdate, p.pubdelete, p.pubtruncate)"),
                ("tables", "select string_agg(r.prrelid::regclass::text, ', ' order by r.prrelid::regclass::text)
                     from pg_publication_rel r where r.prpubid = p.oid"),
            ],
            "pg_publication p where true",
        ),
        simple("collation", "pg_collation", "coll"),
        simple("conversion", "pg_conversion", "con"),
        simple("operator class", "pg_opclass", "opc"),
        simple("operator family", "pg_opfamily", "opf"),
        simple("text search dictionary", "pg_ts_dict", "dict"),
        simple("text search configuration", "pg_ts_config", "cfg"),
    ]
}
